package config

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzParse holds that no document makes the parser panic, that an error has a
// place in the document, and that a Config without an error keeps what the
// package promises.
func FuzzParse(f *testing.F) {
	f.Add([]byte(summaryDoc))
	for _, tt := range errorCases {
		f.Add([]byte(tt.doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := parse("f", doc)
		var errs Errors
		if err != nil && (!errors.As(err, &errs) || len(errs) == 0) {
			t.Fatalf("error of type %T", err)
		}
		last := 0
		for _, e := range errs {
			if e.Line < 1 || e.Line > 1+bytes.Count(doc, []byte("\n")) || e.Line < last {
				t.Errorf("line %d after line %d: %v", e.Line, last, e)
			}
			last = e.Line
			if e.Text == "" || e.Key == "" {
				t.Errorf("no key or text: %+v", e)
			}
		}
		if err != nil {
			return
		}
		queues := map[string]bool{}
		for i := range c.Routes {
			r := &c.Routes[i]
			if r.SlotsMin < 1 || r.SlotsMin > r.SlotsMax || r.Order == OrderStrict && r.SlotsMax != 1 {
				t.Errorf("slots %d to %d, order %s", r.SlotsMin, r.SlotsMax, r.Order)
			}
			if r.RetryInitial <= 0 || r.RetryInitial > r.RetryMax || r.Timeout <= 0 || r.Linger < 0 {
				t.Errorf("retry %v to %v, timeout %v, linger %v", r.RetryInitial, r.RetryMax, r.Timeout, r.Linger)
			}
			if r.Mode&readBits != 0 || r.MaxMessages < 1 || r.MaxBytes < 1 || r.Accept == 0 || r.To == "" || !routeName(r.Name) {
				t.Errorf("%+v", r)
			}
			if queues[r.Queue.String()] || r.Queue.IsZero() {
				t.Errorf("queue %q", r.Queue)
			}
			queues[r.Queue.String()] = true
		}
		if len(c.Routes) == 0 {
			t.Error("no route")
		}
		if err := c.Summary(io.Discard, nil); err != nil {
			t.Error(err)
		}
	})
}
