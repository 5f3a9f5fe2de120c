package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64 // -1: none
	}{
		{"0", 0}, {"1", 1}, {"512B", 512}, {"64KiB", 65536}, {"1MiB", 1 << 20}, {"2GiB", 2 << 30},
		{"1kB", 1000}, {"1KB", 1000}, {"3MB", 3e6}, {"1GB", 1e9}, {"9223372036854775807", 1<<63 - 1},
		{"", -1}, {"B", -1}, {"KiB", -1}, {"1K", -1}, {"1M", -1}, {"1mib", -1}, {"1 MiB", -1}, {"1.5MiB", -1}, {"-1", -1}, {"+1", -1},
		{"1BB", -1}, {"1iB", -1}, {"0x10", -1}, {"1_000", -1}, {"9223372036854775808", -1}, {"9007199254740992KiB", -1},
	} {
		got, ok := parseSize(tt.text)
		if !ok {
			got = -1
		}
		if got != tt.want {
			t.Errorf("parseSize(%q) = %d, want %d", tt.text, got, tt.want)
		}
	}
}

func TestSizesAndDurationsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<62).Draw(t, "bytes")
		if got, ok := parseSize(formatSize(n)); !ok || got != n {
			t.Errorf("parseSize(%q) = %d, %t, want %d", formatSize(n), got, ok, n)
		}
		d := time.Duration(rapid.Int64().Draw(t, "ns"))
		if rapid.Bool().Draw(t, "whole") {
			d = d.Truncate(time.Minute)
		}
		if got, err := time.ParseDuration(formatDuration(d)); err != nil || got != d {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", formatDuration(d), got, err, d)
		}
	})
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 200 * time.Millisecond: "200ms", 10 * time.Second: "10s", 5 * time.Minute: "5m", 90 * time.Second: "1m30s",
		time.Hour: "1h", 10 * time.Hour: "10h", 24*time.Hour + time.Second: "24h0m1s", 70 * time.Minute: "1h10m",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Rate // zero: none
		say  string
	}{
		{"50/s", Rate{50, 1}, "50 requests per second, burst 1"},
		{"50/s burst 10", Rate{50, 10}, "50 requests per second, burst 10"},
		{"1000000/s", Rate{1e6, 1}, "1000000 requests per second, burst 1"},
		{"90/m", Rate{1.5, 1}, "1.5 requests per second, burst 1"},
		{"10/m", Rate{10.0 / 60, 1}, "10 requests per minute, burst 1"},
		{"7/h", Rate{7.0 / 3600, 1}, "7 requests per hour, burst 1"},
		{"", Rate{}, "no limit"},
		{"/s", Rate{}, "no limit"},
		{"50/d", Rate{}, "no limit"},
		{"50/s burst", Rate{}, "no limit"},
		{"50/s burst 100001", Rate{}, "no limit"},
		{"50/s  burst 1", Rate{}, "no limit"},
		{"1000001/s", Rate{}, "no limit"},
		{"-1/s", Rate{}, "no limit"},
	} {
		var r Route
		problems := parseRate(target{nil, &r}, value{text: tt.text})
		if r.Rate != tt.want || (problems == nil) != (tt.want != Rate{}) {
			t.Errorf("%q: got %+v and %v, want %+v", tt.text, r.Rate, problems, tt.want)
		}
		if got := r.Rate.String(); got != tt.say {
			t.Errorf("%q: says %q, want %q", tt.text, got, tt.say)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"queue", "to", "mode", "retry", "rate", "slots"}
	for key, want := range map[string]string{
		"queue": "queue", "queues": "queue", "quue": "queue", "qeueu": "queue", "tp": "to", "rat": "rate", "ratee": "rate",
		"slot": "slots", "ttl": "", "url": "", "x": "", "": "", "workers": "",
	} {
		if got := nearest(key, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestMeantScheme(t *testing.T) {
	for scheme, want := range map[string]string{
		"htp": "http", "htttp": "http", "ttp": "http", "htps": "https", "httpss": "https", "ttps": "https", "sdtout": "stdout", "discrad": "discard",
		"ftp": "", "sftp": "", "ftps": "", "file": "", "ws": "", "tcp": "", "stdin": "", "http": "", "stdout": "", "": "",
	} {
		if got := meantScheme(scheme); got != want {
			t.Errorf("meantScheme(%q) = %q, want %q", scheme, got, want)
		}
	}
}

// distance is a metric: without this a suggestion could be farther than it seems.
func TestDistanceIsAMetric(t *testing.T) {
	word := rapid.StringMatching(`[ab]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		ab, ba, bc, ac := distance(a, b), distance(b, a), distance(b, c), distance(a, c)
		if (ab == 0) != (a == b) || ab != ba || ac > ab+bc || ab > max(len(a), len(b)) {
			t.Errorf("a %q b %q c %q: ab %d, ba %d, bc %d, ac %d", a, b, c, ab, ba, bc, ac)
		}
	})
}

func TestRouteName(t *testing.T) {
	long := "a123456789b123456789c123456789d123456789e123456789f123456789g123"
	for name, want := range map[string]bool{
		"a": true, "0": true, "sms": true, "a-b_c": true, long: true,
		"": false, "-a": false, "_a": false, "A": false, "a.b": false, "a/b": false, "ä": false, "a b": false, long + "4": false,
	} {
		if got := routeName(name); got != want {
			t.Errorf("routeName(%q) = %t, want %t", name, got, want)
		}
	}
}
