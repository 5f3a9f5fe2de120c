package envelope_test

import (
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// payloads has one payload of 256 bytes of body for each kind and case.
func payloads(t testing.TB) map[string][]byte {
	body := strings.Repeat("x", 256)
	many := make([]envelope.Message, 28)
	for i := range many {
		many[i] = envelope.Message{Body: []byte(body), Time: 1, Priority: -1}
	}
	return map[string][]byte{
		"raw":          []byte(body),
		"envelope":     frame(t, many[0]),
		"envelope-28":  frame(t, many...),
		"php":          []byte(`s:256:"` + body + `";`),
		"json":         []byte(`{"mqd":1,"key":"k","data":"` + body + `"}`),
		"json-foreign": []byte(`{"data":"` + body + `"}`),
	}
}

// readAll reads a payload as the daemon does and gives the length of all bodies.
func readAll(p []byte) (n int) {
	kind, _ := envelope.Detect(p, envelope.AcceptAll)
	var r envelope.Reader
	var m envelope.Message
	for r.Reset(kind, p); r.Next(&m); {
		n += len(m.Body)
	}
	return n
}

// TestNoAllocation: taking a message in costs no memory.
func TestNoAllocation(t *testing.T) {
	total := 0
	for name, p := range payloads(t) {
		got := testing.AllocsPerRun(1000, func() {
			total += readAll(p)
		})
		if got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
	var b envelope.Builder
	buf, m := make([]byte, 4096), full
	if got := testing.AllocsPerRun(1000, func() { b.Reset(buf); b.Add(&m); total += len(b.Finish()) }); got != 0 {
		t.Errorf("Builder: %v allocations, want 0", got)
	}
	if total == 0 {
		t.Error("nothing was read")
	}
}

func BenchmarkDetectRead(b *testing.B) {
	for name, p := range payloads(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n += readAll(p)
			}
		})
	}
}

func BenchmarkBuilder(b *testing.B) {
	m := envelope.Message{Body: make([]byte, 256), Time: 1, Priority: -1}
	var f envelope.Builder
	buf := make([]byte, 8192)
	for b.Loop() {
		if !f.Add(&m) {
			f.Finish()
			f.Reset(buf)
		}
	}
}
