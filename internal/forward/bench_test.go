package forward

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const benchCount = 100

func bodies() map[string]string {
	return map[string]string{
		"ascii": strings.Repeat("abcdefgh", 32),
		"utf8":  strings.Repeat("aé日😀-", 256/11),
		"quote": strings.Repeat(`{"a":"b"}`, 256/9),
		"bytes": strings.Repeat("\xff\x00", 128),
	}
}

// TestNoAllocationPerMessage: what a batch allocates does not depend on the
// number of its messages.
func TestNoAllocationPerMessage(t *testing.T) {
	c := &Config{Route: "r", Host: "h"}
	dst := make([]byte, 0, 4<<20)
	for _, f := range []Format{CloudEvents, JSON, NDJSON, Lines, Raw} {
		e := newEncoder(f, c)
		for name, body := range bodies() {
			m := Message{ID: []byte("0197f3c0-0000-7000-8000-000000000001"), Time: sample, Type: 1, Key: []byte("key\xff"), ContentType: []byte("text/plain"), Trace: []byte("00-1"), Body: []byte(body)}
			if name == "ascii" {
				m.ContentType, m.Body = []byte("application/json"), []byte(`{"a":[1,2,3],"b":"c"}`)
			}
			messages := make([]Message, 1000)
			for i := range messages {
				messages[i] = m
			}
			b := batchOf("key", messages...)
			if n := testing.AllocsPerRun(20, func() { e.append(dst[:0], b) }); n > 8 {
				t.Errorf("%v, %s: %.0f allocations for a batch of %d messages", f, name, n, len(messages))
			}
		}
	}
}

func TestOpenGateDoesNotAllocate(t *testing.T) {
	g := newGate()
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		p, _ := g.Wait(ctx)
		g.Report(p, delivered)
	}); n != 0 {
		t.Errorf("%.0f allocations to pass an open gate", n)
	}
}

// BenchmarkEncode measures ns for each message of 256 bytes.
func BenchmarkEncode(b *testing.B) {
	c := &Config{Route: "sms", Host: "web1"}
	for _, f := range []Format{CloudEvents, JSON, NDJSON, Lines, Raw} {
		for name, body := range bodies() {
			if f == Raw && name != "ascii" {
				continue
			}
			b.Run(f.String()+"/"+name, func(b *testing.B) {
				e, batch := newEncoder(f, c), repeated(benchCount, body)
				dst := make([]byte, 0, 1<<20)
				b.ReportAllocs()
				b.SetBytes(int64(batch.Bytes))
				for b.Loop() {
					dst = e.append(dst[:0], batch)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchCount, "ns/message")
			})
		}
	}
}

// BenchmarkEncodeJSONValue is a CloudEvent whose body is checked and stays JSON.
func BenchmarkEncodeJSONValue(b *testing.B) {
	e := newEncoder(CloudEvents, &Config{Route: "sms", Host: "web1"})
	m := Message{ID: []byte("0197f3c0-0000-7000-8000-000000000001"), Time: sample, Type: 1, ContentType: []byte("application/json"), Body: []byte("[" + strings.Repeat(`{"a":"b"},`, 25) + "1234]")}
	batch := batchOf("key", slices.Repeat([]Message{m}, benchCount)...)
	dst := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		dst = e.append(dst[:0], batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchCount, "ns/message")
}

// BenchmarkEncodingJSON is what BenchmarkEncode/json is measured against.
func BenchmarkEncodingJSON(b *testing.B) {
	text := bodies()["ascii"]
	var objects []object
	for range benchCount {
		objects = append(objects, object{ID: "0197f3c0-0000-7000-8000-000000000001", Time: "2026-02-03T04:05:06.007080900Z", Route: "sms", Type: 1, Data: &text})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(objects); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchCount, "ns/message")
}

// BenchmarkSend measures requests over loopback, the receiver in this process.
func BenchmarkSend(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })}
	go s.Serve(l)
	defer s.Close()
	for _, size := range []int{1, 100, 4000} {
		for _, slots := range []int{1, 16} {
			b.Run(fmt.Sprintf("messages=%d/slots=%d", size, slots), func(b *testing.B) {
				d := open(b, Config{Route: "sms", To: "http://" + l.Addr().String() + "/", Format: Lines})
				batch := repeated(size, strings.Repeat("x", 256))
				b.ReportAllocs()
				b.SetParallelism(max(1, slots/2)) // times GOMAXPROCS
				if slots == 1 {
					for b.Loop() {
						mustDeliver(b, d, batch)
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							mustDeliver(b, d, batch)
						}
					})
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
				b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}
