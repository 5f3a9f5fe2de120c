package spool

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// Model: any mix of messages, cuts, settlements and kills delivers every message
// at least once, in order within a life, and none that was settled.
func TestModel(t *testing.T) {
	base := testConfig(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		cfg := base
		cfg.Dir, cfg.State = fmt.Sprintf("%s-%d", base.Dir, n), filepath.Join(base.State, fmt.Sprint(n))
		cfg.Size = 2 * SlabSize
		l, _ := open(t, cfg)
		var pending []Span        // not settled, in order
		waiting := map[int]bool{} // numbers of messages not settled
		next := 0
		numbers := func(s Span) (out []int) {
			for _, m := range read([]Span{s}) {
				var k int
				fmt.Sscanf(m.body, "m%d", &k)
				out = append(out, k)
			}
			return out
		}
		rt.Repeat(map[string]func(*rapid.T){
			"land": func(rt *rapid.T) {
				room, err := l.Room()
				if errors.Is(err, ErrFull) {
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				var bodies []string
				for range rapid.IntRange(1, 4).Draw(rt, "messages") {
					pad := rapid.IntRange(0, 1500).Draw(rt, "pad")
					bodies = append(bodies, fmt.Sprintf("m%d %s", next, bytes.Repeat([]byte("."), pad)))
					waiting[next] = true
					next++
				}
				body := []byte(bodies[0])
				if len(bodies) > 1 {
					body = pack(bodies...)
				}
				write(room, 1, body)
				l.Commit(len(body), 1)
			},
			"take": func(*rapid.T) { pending = append(pending, l.Take()...) },
			"settle": func(rt *rapid.T) {
				if len(pending) == 0 {
					return
				}
				i := rapid.IntRange(0, len(pending)-1).Draw(rt, "span")
				head, rest, more := pending[i].Cut(rapid.IntRange(1, 9).Draw(rt, "n"), rapid.IntRange(1, 5000).Draw(rt, "bytes"))
				for _, k := range numbers(head) {
					if !waiting[k] {
						rt.Fatalf("message %d was settled before", k)
					}
					delete(waiting, k)
				}
				if err := l.Settle([]Span{head}); err != nil {
					rt.Fatal(err)
				}
				if pending = append(pending[:i:i], pending[i+1:]...); more {
					pending = append(pending[:i:i], append([]Span{rest}, pending[i:]...)...)
				}
			},
			"kill": func(rt *rapid.T) {
				drop(l)
				var rec Recovered
				l, rec = open(t, cfg)
				pending = append([]Span(nil), l.Take()...)
				last, count := -1, 0
				for _, s := range pending {
					for _, k := range numbers(s) {
						if !waiting[k] || k <= last {
							rt.Fatalf("message %d after %d: settled, unknown or out of order", k, last)
						}
						last = k
						count++
					}
				}
				if count != len(waiting) || rec.Messages != count {
					rt.Fatalf("%d messages recovered, %d said, %d waiting", count, rec.Messages, len(waiting))
				}
			},
		})
		drop(l)
	})
}
