package forward

import (
	"net/http"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	exceptions := map[int]Verdict{408: Retry, 409: Retry, 425: Retry, 429: Retry, 501: Hold, 505: Hold}
	classes := map[int]Verdict{1: Hold, 2: Delivered, 3: Hold, 4: Hold, 5: Retry}
	for status := 100; status <= 599; status++ {
		want, ok := exceptions[status]
		if !ok {
			want = classes[status/100]
		}
		if got := Classify(status); got != want {
			t.Errorf("Classify(%d) = %v, want %v", status, got, want)
		}
	}
	for _, status := range []int{-1, 0, 99, 600, 999} {
		if got := Classify(status); got != Retry {
			t.Errorf("Classify(%d) = %v, want retry", status, got)
		}
	}
}

func TestVerdictNames(t *testing.T) {
	for v, want := range map[Verdict]string{Retry: "retry", Delivered: "delivered", Hold: "hold", 7: "Verdict(7)"} {
		if v.String() != want {
			t.Errorf("%d = %q, want %q", uint8(v), v, want)
		}
	}
	if (Result{}).Verdict != Retry {
		t.Error("the zero Result does not retry")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		value, date string
		want        time.Duration
	}{
		{value: "0"},
		{value: "1", want: time.Second},
		{value: "7", want: 7 * time.Second},
		{value: "007", want: 7 * time.Second},
		{value: " 12\t", want: 12 * time.Second},
		{value: "3599", want: 3599 * time.Second},
		{value: "3600", want: time.Hour},
		{value: "3601", want: time.Hour},
		{value: "86400", want: time.Hour},
		{value: "9223372036", want: time.Hour},
		{value: "9223372037", want: time.Hour},          // over what a Duration holds
		{value: "9223372036854775807", want: time.Hour}, // the last that fits 64 bits
		{value: "9223372036854775808"},                  // the first that does not
		{value: "99999999999999999999999999"},
		{value: "-1"},
		{value: "-3600"},
		{value: "+5"},
		{value: "1.5"},
		{value: "1e3"},
		{value: "0x10"},
		{value: "5s"},
		{value: "5, 10"},
		{value: "5 10"},
		{value: "٣"},
		{value: ""},
		{value: "soon"},
		{value: in(30 * time.Second), want: 30 * time.Second},
		{value: in(-time.Second)},
		{value: in(0)},
		{value: in(2 * time.Hour), want: time.Hour},
		{value: "Tuesday, 03-Feb-26 12:00:10 GMT", want: 10 * time.Second}, // RFC 850
		{value: "Tue Feb  3 12:00:20 2026", want: 20 * time.Second},        // asctime
		{value: "Tue, 03 Feb 2026 12:00:30 CET"},
		{value: "Fri, 31 Dec 9999 23:59:59 GMT", want: time.Hour},
		{value: "Mon, 01 Jan 0001 00:00:00 GMT"},
		{value: in(time.Minute), date: in(50 * time.Second), want: 10 * time.Second}, // their clock is ahead
		{value: in(-time.Hour), date: in(-time.Hour - 5*time.Second), want: 5 * time.Second},
		{value: in(time.Minute), date: "yesterday", want: time.Minute},
		{value: "5", date: in(time.Hour), want: 5 * time.Second},
	} {
		h := http.Header{"Retry-After": {c.value}}
		if c.date != "" {
			h.Set("Date", c.date)
		}
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("Retry-After %q, Date %q = %v, want %v", c.value, c.date, got, c.want)
		}
	}
	if got := retryAfter(http.Header{}, now); got != 0 {
		t.Errorf("no Retry-After = %v", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add("Tue, 03 Feb 2026 12:00:30 GMT", "Tue, 03 Feb 2026 12:00:00 GMT")
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		if d := retryAfter(h, time.Unix(0, sample)); d < 0 || d > MaxRetryAfter {
			t.Errorf("Retry-After %q, Date %q = %v", value, date, d)
		}
	})
}
