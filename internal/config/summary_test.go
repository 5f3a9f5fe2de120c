package config

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

const summaryDoc = `state = "/var/lib/mqd"
listen = ":9464"
[route.default]
[route.sms]
queue = "posix:/sms"
queue_bytes = "1MiB"
group = "root"
mode = "0622"
accept = ["raw", "php"]
to = "https://sms.example/v1?token=c4n4ry"
format = "raw"
headers = { X-B = "c4n4ry", Authorization = "c4n4ry" }
ce_type = "com.example.sms"
linger = "250ms"
rate = "90/m burst 4"
order = "strict"
timeout = "1m30s"
retry = { initial = "1s", max = "1h" }
max_bytes = 100000
`

const summaryWant = `configuration  f
state          /var/lib/mqd
runtime        the default of this user
listen         :9464
log            text, from level info
stop           within 4s
routes         2

route default (line 3)
  queue    sysv:0x6d716431
  mode     0620, group of the daemon
  accept   envelope, json, php, raw
  to       stdout:
  format   ndjson
  headers  none
  batch    up to 500 messages and 1MiB, linger 0s
  rate     no limit
  slots    1 to 16
  order    key
  timeout  30s
  retry    after 200ms up to 5m

route sms (line 4)
  queue    posix:/sms
           16384 bytes real
           type: sysctl
  mode     0622, group root (0), 1MiB wanted
  accept   php, raw
  to       https://sms.example/v1?...
  format   raw, ce type com.example.sms
  headers  Authorization, X-B
  batch    up to 1 message and 100000B, linger 250ms
  rate     1.5 requests per second, burst 4
  slots    1 to 1
  order    strict
  timeout  1m30s
  retry    after 1s up to 1h
`

func TestSummary(t *testing.T) {
	c := mustParse(t, summaryDoc)
	var out bytes.Buffer
	err := c.Summary(&out, func(r *Route) []string {
		if r.Name == "sms" {
			return []string{"16384 bytes real", "type: sysctl"}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != summaryWant {
		t.Errorf("got\n%s\nwant\n%s", got, summaryWant)
	}
}

func TestSummaryOfFlags(t *testing.T) {
	c, err := Single("", "", "")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Summary(&out, nil); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, "configuration  flags\n") || !strings.Contains(got, "\nroute default\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestSummaryReportsTheWriter(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(io.ErrNoProgress)
	if err := mustParse(t, summaryDoc).Summary(w, nil); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}
