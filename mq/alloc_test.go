package mq_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/mq"
)

// What runs once per message allocates nothing.
func TestAllocations(t *testing.T) {
	q, p := private(t), named(t)
	w := q.NewWaiter(context.Background())
	defer w.Close()
	raw := make([]byte, 8+64)
	buf := make([]byte, 64)
	m := mq.Message{Type: 1, Body: make([]byte, 32)}
	ctx := context.Background()
	var prio uint32
	for name, run := range map[string]func() bool{
		"TrySendRaw, Wait, TryReceiveRaw": func() bool {
			sent := q.TrySendRaw(raw)
			_, err := w.Wait()
			_, got := q.TryReceiveRaw(raw)
			return sent == 0 && err == nil && got == 0
		},
		"TryReceiveRaw of nothing": func() bool {
			_, errno := q.TryReceiveRaw(raw)
			return errno != 0
		},
		"doorbell": func() bool {
			sent := q.TrySendRaw(raw[:8])
			doorbell, err := w.Wait()
			return sent == 0 && err == nil && doorbell == 1
		},
		"POSIX TrySendRaw, TryReceiveRaw": func() bool {
			sent := p.TrySendRaw(m.Body, 0)
			_, got := p.TryReceiveRaw(buf, &prio)
			return sent == 0 && got == 0
		},
		"TrySend, TryReceive":       func() bool { return trySendReceive(q, m, buf) },
		"POSIX TrySend, TryReceive": func() bool { return trySendReceive(p, m, buf) },
		"Send, Receive":             func() bool { return sendReceive(ctx, q, m, buf) },
		"POSIX Send, Receive":       func() bool { return sendReceive(ctx, p, m, buf) },
	} {
		raw[0] = 1
		most, ok := 0.0, true
		if raceDetector && !strings.Contains(name, "Raw") {
			most = 2
		}
		if n := testing.AllocsPerRun(100, func() { ok = run() && ok }); n > most || !ok {
			t.Errorf("%s: %v allocations, worked: %v", name, n, ok)
		}
	}
}

func trySendReceive(q mq.Queue, m mq.Message, buf []byte) bool {
	sent := q.TrySend(m)
	_, err := q.TryReceive(buf)
	return sent == nil && err == nil
}

func sendReceive(ctx context.Context, q mq.Queue, m mq.Message, buf []byte) bool {
	sent := q.Send(ctx, m)
	_, err := q.Receive(ctx, buf)
	return sent == nil && err == nil
}
