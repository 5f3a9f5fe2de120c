package spool

import (
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// benchFrame is a frame of messages of 256 bytes, as full as it gets.
func benchFrame() []byte {
	var b envelope.Builder
	b.Reset(make([]byte, 8192))
	m := envelope.Message{Body: []byte(strings.Repeat("x", 256)), Time: 1, Priority: -1}
	for b.Add(&m) {
	}
	return b.Finish()
}

// benchSpan is a span of n messages at least, landed from copies of body.
func benchSpan(b *testing.B, body []byte, n int) Span {
	l, _ := open(b, testConfig(b))
	b.Cleanup(func() { l.Close() })
	for l.cur.used < uint32(n) {
		land(b, l, 1, body)
	}
	return l.Take()[0]
}

func BenchmarkLandFrame(b *testing.B) {
	l, _ := open(b, testConfig(b))
	defer l.Close()
	body := benchFrame()
	for i := range b.N {
		room, err := l.Room()
		if err != nil {
			b.Fatal(err)
		}
		write(room, 1, body)
		l.Commit(len(body), 1)
		if i%8 == 7 {
			l.Settle(l.Take())
		}
	}
}

func BenchmarkCut(b *testing.B) {
	for name, body := range map[string][]byte{"raw": benchFrame()[100:356], "frame": benchFrame()} {
		s := benchSpan(b, body, 600)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if h, _, _ := s.Cut(500, 1<<30); h.n != 500 {
					b.Fatal(h)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for name, body := range map[string][]byte{"raw": benchFrame()[100:356], "frame": benchFrame()} {
		s := benchSpan(b, body, 500)
		dst := make([]byte, 0, 1<<20)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				dst = dst[:0]
				var m Message
				var r Reader
				for r.Reset(s); r.Next(&m); {
					dst = append(append(dst, m.Body...), '\n')
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.n), "ns/message")
		})
	}
}
