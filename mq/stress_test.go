package mq_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/mqdaemon/mqd/mq"
)

// Many senders and receivers at once: each message arrives once, whole.
func TestStress(t *testing.T) {
	both(t, func(t *testing.T, q mq.Queue) {
		const senders, each, receivers = 8, 500, 4
		ctx := timeout(t)
		var sending, receiving sync.WaitGroup
		for s := range senders {
			sending.Go(func() {
				for i := range each {
					body := bytes.Repeat([]byte{byte(s), byte(i), byte(i >> 8)}, 1+i%20)
					if err := q.Send(ctx, mq.Message{Type: 1 + int64(s), Body: body}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var mu sync.Mutex
		seen := map[string]int{}
		stop, cancel := context.WithCancel(ctx)
		defer cancel()
		for range receivers {
			receiving.Go(func() {
				buf := make([]byte, 64)
				for {
					m, err := q.Receive(stop, buf)
					if errors.Is(err, context.Canceled) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					n := len(m.Body)
					if !bytes.Equal(m.Body, bytes.Repeat(m.Body[:3], n/3)) {
						t.Errorf("torn message % x", m.Body)
					}
					mu.Lock()
					seen[string(m.Body[:3])]++
					mu.Unlock()
				}
			})
		}
		sending.Wait()
		eventually(t, "an empty queue", func() bool { return stat(t, q).Messages == 0 })
		eventually(t, "all messages", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == senders*each })
		cancel()
		receiving.Wait()
		for id, n := range seen {
			if n != 1 {
				t.Errorf("message % x arrived %d times", id, n)
			}
		}
	})
}
