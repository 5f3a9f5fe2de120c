package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// errorCases hold one mistake or one meeting of mistakes each. In doc, %DIR% is what
// secretDir makes; doc begins on line 1.
var errorCases = []struct{ name, doc, want string }{
	// The document.
	{"empty", "", `f:1: route: no route (allowed at least one); add [route.default] or [route.NAME]`},
	{"no name", "\n[route]", `f:2: route: no route (allowed at least one); add [route.default] or [route.NAME]`},
	{"array of routes", "[[route]]\nname = 'a'", `f:1: route: wrong type (value a list, allowed a table with a name); write [route.NAME]`},
	{"route is text", "route = 'a'", `f:1: route: wrong type (value "a", allowed a table with a name); write [route.NAME]`},
	{"keys right below route", "[route]\nto = 'stdout:'", `f:2: route.to: wrong type (value "stdout:", allowed a table); write [route.NAME] above the keys of a route`},
	{"not TOML", "[route.default]\nto stdout", `f:2: syntax: expected '=' after key; correct this line`},
	{"no quotes", "[route.default]\nlinger = 5s", `f:2: syntax: strings must be quoted; put the value in quotes, like "0620", "5s" or "1MiB"`},
	{"no quotes, a word", "[route.default]\norder = strict", `f:2: syntax: unexpected character U+0073 's' at start of value; put the value in quotes, like "0620", "5s" or "1MiB"`},
	{"octal", "[route.default]\nmode = 0620", `f:2: syntax: integers cannot have leading zeroes; put the value in quotes, like "0620", "5s" or "1MiB"`},
	{"key twice", "[route.default]\n\nto = 'stdout:'\norder = 'key'\nto = 'discard:'", `f:5: route.default.to: set twice (lines 3 and 5); take one of them out`},
	{"table twice", "[route.default]\n[route.b]\nqueue = 'sysv:1'\n[route.default]", `f:4: route.default: set twice (lines 1 and 4); take one of them out`},
	{"twice on a line", "[route.default]\nslots = { min = 1, min = 2 }", `f:2: route.default.slots.min: key min is already defined; correct this line`},
	{"deep key twice", "[route.default.headers.a.b]\nc = 1\nd = 1\nd = 2", `f:4: syntax: key d is already defined; correct this line`},

	// Keys.
	{"near", "[route.default]\nlingre = '5s'", `f:2: route.default.lingre: unknown key; did you mean linger?`},
	{"near at the top", "log_fromat = 'json'\n[route.default]", `f:1: log_fromat: unknown key; did you mean log_format?`},
	{"near in a table", "[route.default]\nretry = { maxx = '5s' }", `f:2: route.default.retry.maxx: unknown key; did you mean max?`},
	{"routes", "[routes.default]", "f:1: route: no route (allowed at least one); add [route.default] or [route.NAME]\nf:1: routes: unknown key; did you mean route?"},
	{"top in route", "[route.default]\nstate = '/x'", `f:2: route.default.state: unknown key in a route; put it above the first [route.NAME]`},
	{"route key at the top", "to = 'discard:'\n[route.default]", `f:1: to: unknown key outside a route; put it below [route.NAME]`},
	{"route without route", "[route.default]\n[sms]\nto = 'discard:'", `f:2: sms: unknown key (allowed state, runtime, listen, log_format, log_level, stop_timeout, route); a route is written [route.sms]`},
	{
		"far", "[route.default]\nsync_window = '5ms'",
		`f:2: route.default.sync_window: unknown key (allowed queue, queue_bytes, mode, group, accept, to, format, headers, ce_type, max_messages, max_bytes, linger, rate, slots, order, timeout, retry); take it out`,
	},
	{"far in a table", "[route.default.slots]\nworkers = 5", `f:2: route.default.slots.workers: unknown key (allowed min, max); take it out`},
	{"dot in quotes", "[route.default]\n'slots.min' = 5", `f:2: route.default."slots.min": unknown key (allowed queue, queue_bytes, mode, group, accept, to, format, headers, ce_type, max_messages, max_bytes, linger, rate, slots, order, timeout, retry); take it out`},
	{"control characters", "[route.default]\n\"a\\n\\u001b[31m\" = 5", `f:2: route.default."a\n\x1b[31m": unknown key (allowed queue, queue_bytes, mode, group, accept, to, format, headers, ce_type, max_messages, max_bytes, linger, rate, slots, order, timeout, retry); take it out`},
	{"table is none", "[route.default]\nslots = 5", `f:2: route.default.slots: wrong type (value 5, allowed a table); write slots = { min = 1 }`},
	{"dotted table is none", "[route.default]\nretry = ['5s']", `f:2: route.default.retry: wrong type (value a list, allowed a table); write retry = { initial = "200ms" }`},

	// Names.
	{"upper case", "[route.Default]\nqueue = 'sysv:1'", `f:1: route.Default: not a name for a route (value "Default", allowed 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit); rename it, the name becomes a directory and a metric label`},
	{"path", "[route.'../x']\nqueue = 'sysv:1'", `f:1: route."../x": not a name for a route (value "../x", allowed 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit); rename it, the name becomes a directory and a metric label`},
	{"empty name", "[route.'']\nqueue = 'sysv:1'", `f:1: route."": not a name for a route (value "", allowed 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit); rename it, the name becomes a directory and a metric label`},

	// The whole daemon's.
	{"state", "state = 'mqd'\n[route.default]", `f:1: state: not an absolute path (value "mqd", allowed a path from /); write the whole path`},
	{"home", "runtime = '~/mqd'\n[route.default]", `f:1: runtime: not an absolute path (value "~/mqd", allowed a path from /); write the whole path`},
	{"NUL", "state = \"/a\\u0000\"\n[route.default]", `f:1: state: has a NUL in it (value "/a\x00"); take it out`},
	{"listen", "listen = '9464'\n[route.default]", `f:1: listen: not an address to listen on (value "9464", allowed HOST:PORT or :PORT, PORT 0 to 65535); write for example 127.0.0.1:9464`},
	{"listen port", "listen = ':65536'\n[route.default]", `f:1: listen: not an address to listen on (value ":65536", allowed HOST:PORT or :PORT, PORT 0 to 65535); write for example 127.0.0.1:9464`},
	{"log format", "log_format = 'xml'\n[route.default]", `f:1: log_format: not known (value "xml", allowed text or json); choose one of them`},
	{"log level", "log_level = 'warning'\n[route.default]", `f:1: log_level: not known (value "warning", allowed debug, info, warn or error); choose one of them`},
	{"log level type", "log_level = 3\n[route.default]", `f:1: log_level: wrong type (value 3, allowed a string); write log_level = "info"`},
	{"date", "listen = 2026-01-02\n[route.default]", `f:1: listen: wrong type (value a date or time, allowed a string); write listen = "127.0.0.1:9464"`},

	// The queue.
	{"no queue", "[route.default]\n[route.sms]", `f:2: route.sms: no queue (allowed every route but default names its own); write queue = "sysv:0x6d716432" or another number`},
	{"key 0", "[route.default]\nqueue = 'sysv:0'", `f:2: route.default.queue: not a queue: key 0 is IPC_PRIVATE: every process would get a new queue of its own (value "sysv:0", allowed sysv:KEY with KEY from 1 to 0x7fffffff, sysv:ftok:PATH:C or posix:/NAME); write for example sysv:0x6d716431`},
	{"key too large", "[route.default]\nqueue = 'sysv:0x80000000'", `f:2: route.default.queue: not a queue: key 0x80000000 is above 0x7fffffff: not every language can name it (value "sysv:0x80000000", allowed sysv:KEY with KEY from 1 to 0x7fffffff, sysv:ftok:PATH:C or posix:/NAME); write for example sysv:0x6d716431`},
	{"ftok", "[route.default]\nqueue = 'sysv:ftok:%DIR%/none:m'", `f:2: route.default.queue: not a queue: ftok %DIR%/none: no such file or directory (value "sysv:ftok:%DIR%/none:m", allowed sysv:KEY with KEY from 1 to 0x7fffffff, sysv:ftok:PATH:C or posix:/NAME); write for example sysv:0x6d716431`},
	{"one queue", "[route.a]\nqueue = 'sysv:7'\n[route.b]\nqueue = 'sysv:0x7'", `f:4: route.b.queue: the queue of route a too (lines 2 and 4) (value "sysv:0x00000007", allowed one route for each queue); give each route its own`},
	{"one queue, by default", "[route.a]\nqueue = 'sysv:0x6d716431'\n[route.default]", `f:3: route.default: the queue of route a too (lines 2 and 3) (value "sysv:0x6d716431", allowed one route for each queue); give each route its own`},
	{"queue_bytes", "[route.default]\nqueue_bytes = '2GiB'", `f:2: route.default.queue_bytes: too large (value 2GiB, allowed 0 to 1GiB); use 1GiB or less`},
	{"negative", "[route.default]\nqueue_bytes = -1", `f:2: route.default.queue_bytes: too small (value -1B, allowed 0 to 1GiB); use 0 or more`},
	{"mode, read for group", "[route.default]\nmode = '0660'", `f:2: route.default.mode: lets group or others read, so that they could take messages away (value "0660", allowed 0600, 0620, 0602 or 0622); write mode = "0620"`},
	{"mode, read for others", "[route.default]\nmode = '0626'", `f:2: route.default.mode: lets group or others read, so that they could take messages away (value "0626", allowed 0600, 0620, 0602 or 0622); write mode = "0622"`},
	{"mode, not for owner", "[route.default]\nmode = '0220'", `f:2: route.default.mode: not a mode for a queue (value "0220", allowed 0600, 0620, 0602 or 0622); write mode = "0620"`},
	{"mode, execute", "[route.default]\nmode = '0720'", `f:2: route.default.mode: not a mode for a queue (value "0720", allowed 0600, 0620, 0602 or 0622); write mode = "0620"`},
	{"mode, decimal", "[route.default]\nmode = '620'", `f:2: route.default.mode: not an octal mode (value "620", allowed 0600, 0620, 0602 or 0622); write mode = "0620"`},
	{"mode, a number", "[route.default]\nmode = 0o620", `f:2: route.default.mode: wrong type (value 400, allowed a string); write mode = "0620"`},
	{"mode, empty", "[route.default]\nmode = ''", `f:2: route.default.mode: not an octal mode (value "", allowed 0600, 0620, 0602 or 0622); write mode = "0620"`},
	{"group", "[route.default]\ngroup = 'no-such-group'", `f:2: route.default.group: no such group (value "no-such-group", allowed the name of a group of this host or a number); to see them, type: getent group`},
	{"group -1", "[route.default]\ngroup = 4294967295", `f:2: route.default.group: no such group (value "4294967295", allowed the name of a group of this host or a number); to see them, type: getent group`},
	{"accept", "[route.default]\naccept = ['php', 'jsn']", `f:2: route.default.accept: not known (value "jsn", allowed envelope, json, php or raw); did you mean "json"?`},
	{"accept, empty", "[route.default]\naccept = []", `f:2: route.default.accept: empty list (allowed envelope, json, php or raw); name at least one`},
	{"accept, twice", "[route.default]\naccept = ['raw', 'raw']", `f:2: route.default.accept: named twice (value "raw"); take one of them out`},
	{"accept, number", "[route.default]\naccept = [1]", `f:2: route.default.accept: wrong type in the list (value 1, allowed envelope, json, php or raw); write accept = ["envelope", "json", "php", "raw"]`},
	{"accept, text", "[route.default]\naccept = 'raw'", `f:2: route.default.accept: wrong type (value "raw", allowed a list of strings); write accept = ["envelope", "json", "php", "raw"]`},

	// The destination.
	{"no scheme", "[route.default]\nto = 'sms.example/v1'", `f:2: route.default.to: no scheme (value "sms.example/v1", allowed http://, https://, stdout: or discard:); write for example https://host/path`},
	{"no colon", "[route.default]\nto = 'stdout'", `f:2: route.default.to: no scheme (value "stdout", allowed http://, https://, stdout: or discard:); write "stdout:"`},
	{"file name", "[route.default]\nto = 'stdout:/tmp/x'", `f:2: route.default.to: takes nothing after the colon (value "stdout:...", allowed http://, https://, stdout: or discard:); write "stdout:"`},
	{"scheme", "[route.default]\nto = 'gopher://sms.example'", `f:2: route.default.to: scheme not available (value "gopher:...", allowed http://, https://, stdout: or discard:); choose one of them`},
	{"scheme, near", "[route.default]\nto = 'htps://sms.example'", `f:2: route.default.to: scheme not available (value "htps:...", allowed http://, https://, stdout: or discard:); did you mean https:?`},
	{"scheme, another one", "[route.default]\nto = 'ftp://sms.example'", `f:2: route.default.to: scheme not available (value "ftp:...", allowed http://, https://, stdout: or discard:); choose one of them`},
	{"no host", "[route.default]\nto = 'http:///v1'", `f:2: route.default.to: no host in the URL (value "http:///v1", allowed https://HOST[:PORT]/PATH); correct it`},
	{"no slashes", "[route.default]\nto = 'http:sms.example'", `f:2: route.default.to: no host in the URL (value "http:sms.example", allowed https://HOST[:PORT]/PATH); correct it`},
	{"port alone", "[route.default]\nto = 'http://:80/'", `f:2: route.default.to: no host in the URL (value "http://:80/", allowed https://HOST[:PORT]/PATH); correct it`},
	{"port", "[route.default]\nto = 'http://a:65536/'", `f:2: route.default.to: no such port (value "http://a:65536/", allowed 1 to 65535); correct it`},
	{"not a URL", "[route.default]\nto = 'http://a b/'", `f:2: route.default.to: not a URL: invalid character " " in host name (value "http://a b/", allowed https://HOST[:PORT]/PATH); correct it`},
	{"fragment", "[route.default]\nto = 'http://a/#b'", `f:2: route.default.to: a fragment is never sent (value "http://a/#...", allowed https://HOST[:PORT]/PATH); take out the # and what follows`},
	{"user info", "[route.default]\nto = 'https://me:pw@a/v1?k=v'", `f:2: route.default.to: user info in a URL would end up in logs (value "https://...@a/v1?...", allowed https://HOST[:PORT]/PATH); take it out and write headers = { Authorization = "file:/PATH" }`},
	{"format", "[route.default]\nformat = 'line'", `f:2: route.default.format: not known (value "line", allowed cloudevents, json, ndjson, lines or raw); did you mean "lines"?`},
	{"ce_type", "[route.default]\nce_type = \"a\\nb\"", `f:2: route.default.ce_type: not a type (value "a\nb", allowed text without control characters, not empty); write for example ce_type = "com.example.sms"`},

	// Headers: no value is ever shown.
	{"headers", "[route.default]\nheaders = 'secret'", `f:2: route.default.headers: wrong type (allowed a table of strings); write headers = { Authorization = "file:/run/credentials/mqd/sms" }`},
	{"header name", "[route.default]\nheaders = { 'a b' = 'c' }", `f:2: route.default.headers."a b": not the name of a header (value "a b", allowed letters, digits and !#$%&'*+-.^_` + "`" + `|~); correct the name`},
	{"header type", "[route.default]\nheaders = { A = 12345 }", `f:2: route.default.headers.A: wrong type (allowed a string); put the value in quotes`},
	{"header CR LF", "[route.default.headers]\nA = \"b\\r\\nC: d\"", `f:2: route.default.headers.A: a control character in the value: 0x0d at byte 2 of 7 (allowed text on one line); take it out`},
	{"header of mqd", "[route.default.headers]\nidempotency-key = 'a'\nmqd-route = 'a'\nhost = 'a'\nproxy-authorization = 'a'", "f:2: route.default.headers.idempotency-key: mqd or HTTP itself sets this header; take it out\nf:3: route.default.headers.mqd-route: mqd or HTTP itself sets this header; take it out\nf:4: route.default.headers.host: mqd or HTTP itself sets this header; take it out\nf:5: route.default.headers.proxy-authorization: mqd or HTTP itself sets this header; take it out"},
	{"header twice", "[route.default.headers]\nX-A = 'a'\nx-a = 'b'", `f:3: route.default.headers.x-a: the same header as X-A; take one of them out`},
	{"header file, relative", "[route.default.headers]\nA = 'file:secret'", `f:2: route.default.headers.A: not an absolute path after file: (allowed file:/PATH); write the whole path`},
	{"header file, none", "[route.default.headers]\nA = 'file:%DIR%/none'", `f:2: route.default.headers.A: no such file (value "%DIR%/none", allowed a file of 1B to 16KiB); create it or correct the path`},
	{"header file, directory", "[route.default.headers]\nA = 'file:%DIR%'", `f:2: route.default.headers.A: not a regular file (value "%DIR%", allowed a file of 1B to 16KiB); name a file`},
	{"header file, empty", "[route.default.headers]\nA = 'file:%DIR%/empty'", `f:2: route.default.headers.A: the file is empty (value "%DIR%/empty", allowed a file of 1B to 16KiB); write the value into it`},
	{"header file, two lines", "[route.default.headers]\nA = 'file:%DIR%/lines'", `f:2: route.default.headers.A: a control character in the value: 0x0a at byte 2 of 3 (value "%DIR%/lines", allowed text on one line); take it out`},
	{"header file, large", "[route.default.headers]\nA = 'file:%DIR%/large'", `f:2: route.default.headers.A: the file is too large: 16385B (value "%DIR%/large", allowed a file of 1B to 16KiB); name the file with the value alone`},
	{"header file, open to all", "[route.default.headers]\nA = 'file:%DIR%/open'", `f:2: route.default.headers.A: may be written by everybody (value mode 0602, allowed no write bit for others); type: chmod o-w %DIR%/open`},

	// Batches.
	{"max_messages", "[route.default]\nmax_messages = 0", `f:2: route.default.max_messages: too small (value 0, allowed 1 to 100000); use 1 or more`},
	{"max_messages, large", "[route.default]\nmax_messages = 100_001", `f:2: route.default.max_messages: too large (value 100001, allowed 1 to 100000); use 100000 or less`},
	{"max_messages, text", "[route.default]\nmax_messages = '500'", `f:2: route.default.max_messages: wrong type (value "500", allowed an integer); write max_messages = 500`},
	{"max_messages, float", "[route.default]\nmax_messages = 1.5", `f:2: route.default.max_messages: wrong type (value 1.5, allowed an integer); write max_messages = 500`},
	{"max_bytes", "[route.default]\nmax_bytes = 1023", `f:2: route.default.max_bytes: too small (value 1023B, allowed 1KiB to 64MiB); use 1KiB or more`},
	{"max_bytes, large", "[route.default]\nmax_bytes = '65MiB'", `f:2: route.default.max_bytes: too large (value 65MiB, allowed 1KiB to 64MiB); use 64MiB or less`},
	{"max_bytes, unit", "[route.default]\nmax_bytes = '64K'", `f:2: route.default.max_bytes: not a size (value "64K", allowed 1KiB to 64MiB); write max_bytes = "1MiB", the units are B, KiB, MiB, GiB, kB, MB and GB`},
	{"max_bytes, too many", "[route.default]\nmax_bytes = '9223372036854775807KiB'", `f:2: route.default.max_bytes: not a size (value "9223372036854775807KiB", allowed 1KiB to 64MiB); write max_bytes = "1MiB", the units are B, KiB, MiB, GiB, kB, MB and GB`},
	{"max_bytes, bool", "[route.default]\nmax_bytes = true", `f:2: route.default.max_bytes: wrong type (value true, allowed an integer of bytes or a string, like "64KiB"); write max_bytes = "1MiB"`},
	{"linger", "[route.default]\nlinger = '-1s'", `f:2: route.default.linger: too small (value -1s, allowed 0s to 1h); use 0s or more`},
	{"linger, number", "[route.default]\nlinger = 5", `f:2: route.default.linger: wrong type (value 5, allowed a string with a unit, like "5s"); write linger = "100ms"`},
	{"linger, unit", "[route.default]\nlinger = '5 sec'", `f:2: route.default.linger: not a duration (value "5 sec", allowed 0s to 1h); write linger = "100ms", the units are ns, us, ms, s, m and h`},
	{"rate", "[route.default]\nrate = '50'", `f:2: route.default.rate: not a rate (value "50", allowed 1 to 1000000 requests per s, m or h, and a burst of 1 to 100000); write for example rate = "50/s" or rate = "50/s burst 10"`},
	{"rate, zero", "[route.default]\nrate = '0/s'", `f:2: route.default.rate: not a rate (value "0/s", allowed 1 to 1000000 requests per s, m or h, and a burst of 1 to 100000); write for example rate = "50/s" or rate = "50/s burst 10"`},
	{"rate, burst", "[route.default]\nrate = '5/s burst 0'", `f:2: route.default.rate: not a rate (value "5/s burst 0", allowed 1 to 1000000 requests per s, m or h, and a burst of 1 to 100000); write for example rate = "50/s" or rate = "50/s burst 10"`},
	{"slots", "[route.default]\nslots = { min = 0, max = 257 }", "f:2: route.default.slots.max: too large (value 257, allowed 1 to 256); use 256 or less\nf:2: route.default.slots.min: too small (value 0, allowed 1 to 256); use 1 or more"},
	{"slots crossed", "[route.default]\nslots = { min = 8, max = 4 }", `f:2: route.default.slots.min: min is above max (value min 8, max 4, allowed min up to max); write slots = { min = 4, max = 8 }`},
	{"slots over the default", "[route.default]\nslots.min = 20", `f:2: route.default.slots.min: min is above max (value min 20, max 16, allowed min up to max); write slots = { min = 16, max = 20 }`},
	{"order", "[route.default]\norder = 'strct'", `f:2: route.default.order: not known (value "strct", allowed none, key or strict); did you mean "strict"?`},
	{"strict", "[route.default]\norder = 'strict'\nslots = { max = 16 }", `f:3: route.default.slots.max: order = "strict" sends one request at a time (value 16, allowed 1); take it out, or write order = "key"`},
	{"strict, both", "[route.default]\norder = 'strict'\n[route.default.slots]\nmax = 4\nmin = 2", "f:4: route.default.slots.max: order = \"strict\" sends one request at a time (value 4, allowed 1); take it out, or write order = \"key\"\nf:5: route.default.slots.min: order = \"strict\" sends one request at a time (value 2, allowed 1); take it out, or write order = \"key\""},
	{"timeout", "[route.default]\ntimeout = '0s'", `f:2: route.default.timeout: too small (value 0s, allowed 1ms to 1h); use 1ms or more`},
	{"retry", "[route.default]\nretry = { initial = '10m', max = '1m30s' }", `f:2: route.default.retry.initial: initial is above max (value initial 10m, max 1m30s, allowed initial up to max); write retry = { initial = "1m30s", max = "10m" }`},
	{"retry under the default", "[route.default]\nretry = { max = '100ms' }", `f:2: route.default.retry.max: initial is above max (value initial 200ms, max 100ms, allowed initial up to max); write retry = { initial = "100ms", max = "200ms" }`},

	// A key in error brings no second error about what it would have met.
	{"one error", "[route.default]\nslots = { min = 20, max = 1000 }\nretry = { initial = '10m', max = 5 }", "f:2: route.default.slots.max: too large (value 1000, allowed 1 to 256); use 256 or less\nf:3: route.default.retry.max: wrong type (value 5, allowed a string with a unit, like \"5s\"); write retry = { max = \"5m\" }"},
	// All errors of a file come together, in its order.
	{"all", "[route.b]\nqueue = 'x'\nrate = 1\n[route.a]\nqueue = 'posix:/a'\nto = ''\n", "f:2: route.b.queue: not a queue (value \"x\", allowed sysv:KEY with KEY from 1 to 0x7fffffff, sysv:ftok:PATH:C or posix:/NAME); write for example sysv:0x6d716431\nf:3: route.b.rate: wrong type (value 1, allowed a string); write rate = \"50/s burst 10\"\nf:6: route.a.to: no scheme (value \"\", allowed http://, https://, stdout: or discard:); write for example https://host/path"},
}

func TestErrors(t *testing.T) {
	dir := secretDir(t)
	for _, tt := range errorCases {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse("f", []byte(strings.ReplaceAll(tt.doc, "%DIR%", dir)))
			if err == nil {
				t.Fatalf("no error; want\n%s", tt.want)
			}
			if c != nil {
				t.Error("a Config came with the error")
			}
			if want := strings.ReplaceAll(tt.want, "%DIR%", dir); err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("the error is of type %T, want Errors", err)
			}
			var first *Error
			if !errors.As(err, &first) || first.File != "f" || first.Line < 1 {
				t.Errorf("the first error has no place: %+v", first)
			}
		})
	}
}

// secretDir gives a directory with a good file "secret" and bad ones.
func secretDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []struct {
		name string
		mode fs.FileMode
		text string
	}{{"secret", 0o600, "x"}, {"open", 0o602, "x"}, {"empty", 0o600, "\n"}, {"lines", 0o600, "a\nb"}, {"large", 0o600, strings.Repeat("x", 16<<10+1)}} {
		path := filepath.Join(dir, file.name)
		if err := os.WriteFile(path, []byte(file.text), 0o600); err != nil {
			t.Fatal(err)
		}
		chmod(t, path, file.mode)
	}
	return dir
}

// A secret stands wherever one could be written by right or by mistake, together
// with a mistake. It is never repeated.
func TestErrorsKeepSecrets(t *testing.T) {
	const secret = "c4n4ry"
	docs := []string{
		"headers = { A = '" + secret + "\u0001' }",
		"headers = { A = \"" + secret + "\\n\" }",
		"headers = { Host = '" + secret + "' }",
		"headers = { A = 'file:" + secret + "' }",
		"headers = { 'a b' = '" + secret + "' }",
		"headers = { A = ['" + secret + "'] }",
		"headers = { A = { b = '" + secret + "' } }",
		"headers = { A = '1', a = '" + secret + "' }",
		"headers = 'Authorization: " + secret + "'",
		"headers = ['Authorization: " + secret + "']",
		"headers = { A = " + secret + " }",
		"Authorization = 'Bearer " + secret + "'",
		"Authorization = Bearer " + secret,
		"to = 'https://me:" + secret + "@host/'",
		"to = 'https://" + secret + "@host/'",
		"to = 'https://me:" + secret + "/@host/'",
		"to = 'https://me:%zz" + secret + "@host/'",
		"to = 'https://me:" + secret + " @host:x/'",
		"to = 'https://host/#?token=" + secret + "@'",
		"to = 'https://host:99999/?token=" + secret + "'",
		"to = 'https://ho st/?token=" + secret + "'",
		"to = 'gopher://me:" + secret + "@host/'",
		"to = 'me:" + secret + "@host'",
		"to = 'stdout:?" + secret + "'",
	}
	for _, doc := range docs {
		_, err := parse("f", []byte("[route.default]\n"+doc))
		if err == nil {
			t.Errorf("%s\nno error", doc)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s\nthe error repeats the secret: %v", doc, err)
		}
	}
}

func TestErrorsCutLongValues(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	for _, doc := range []string{
		long + " = 1\n[route.default]",
		"log_level = '" + long + "'\n[route.default]",
		"[route." + long + "]\nqueue = 'sysv:1'",
		"[route.default]\nqueue = 'sysv:" + long + "'",
		"[route.default]\nto = '" + long + ":'",
		"[route.default]\nheaders = { '" + long + " ' = '' }",
	} {
		_, err := parse("f", []byte(doc))
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.40s...: the error has %d bytes: %.1000v", doc, len(err.Error()), err)
		}
	}
}

func TestLoadFindsTheErrno(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.toml")
	_, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("errors.Is does not find ENOENT in %v", err)
	}
	want := path + ": cannot be read: open: no such file or directory"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if _, err := Load(filepath.Dir(path)); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory: got %v, want EISDIR", err)
	}
}
