package mq_test

import (
	"context"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

const benchSize = 256

// message is mtype 1 and a text of benchSize bytes.
func message() []byte { return append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, benchSize)...) }

// bare is the floor: the two system calls and nothing else.
func bare(b *testing.B, id uintptr, msg []byte) {
	_, _, sent := unix.RawSyscall6(unix.SYS_MSGSND, id, uintptr(unsafe.Pointer(&msg[0])), benchSize, unix.IPC_NOWAIT, 0, 0)
	_, _, got := unix.RawSyscall6(unix.SYS_MSGRCV, id, uintptr(unsafe.Pointer(&msg[0])), benchSize, 0, unix.IPC_NOWAIT, 0)
	if sent != 0 || got != 0 {
		b.Fatal(sent, got)
	}
}

func raw(b *testing.B, q *mq.SysV, msg []byte) {
	sent := q.TrySendRaw(msg)
	if _, got := q.TryReceiveRaw(msg); sent != 0 || got != 0 {
		b.Fatal(sent, got)
	}
}

func BenchmarkBare(b *testing.B) {
	id, msg := uintptr(private(b).ID()), message()
	for b.Loop() {
		bare(b, id, msg)
	}
}

func BenchmarkRaw(b *testing.B) {
	q, msg := private(b), message()
	b.ReportAllocs()
	for b.Loop() {
		raw(b, q, msg)
	}
}

// BenchmarkRawOverBare takes turns, so that a busy machine slows both alike, and
// gives the median of the ratios of their times.
func BenchmarkRawOverBare(b *testing.B) {
	q, msg := private(b), message()
	const turn = 1000
	var ratios []float64
	for b.Loop() {
		start := time.Now()
		for range turn {
			bare(b, uintptr(q.ID()), msg)
		}
		middle := time.Now()
		for range turn {
			raw(b, q, msg)
		}
		ratios = append(ratios, float64(time.Since(middle))/float64(middle.Sub(start)))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "raw/bare")
}

func BenchmarkRawWithWait(b *testing.B) {
	q := private(b)
	w := q.NewWaiter(context.Background())
	defer w.Close()
	msg := message()
	b.ReportAllocs()
	for b.Loop() {
		sent := q.TrySendRaw(msg)
		_, err := w.Wait()
		if _, got := q.TryReceiveRaw(msg); sent != 0 || err != nil || got != 0 {
			b.Fatal(sent, err, got)
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	both := map[string]mq.Queue{"sysv": private(b), "posix": named(b, mq.Options{MaxMessages: 2, MaxMessageSize: benchSize})}
	for kind, q := range both {
		b.Run(kind, func(b *testing.B) {
			buf := make([]byte, benchSize)
			b.ReportAllocs()
			for b.Loop() {
				sent := q.TrySend(mq.Message{Type: 1, Body: buf})
				if _, err := q.TryReceive(buf); sent != nil || err != nil {
					b.Fatal(sent, err)
				}
			}
		})
	}
}

func BenchmarkPOSIXRaw(b *testing.B) {
	q := named(b, mq.Options{MaxMessages: 2, MaxMessageSize: benchSize})
	buf := make([]byte, benchSize)
	b.ReportAllocs()
	for b.Loop() {
		sent := q.TrySendRaw(buf, 0)
		if _, got := q.TryReceiveRaw(buf, nil); sent != 0 || got != 0 {
			b.Fatal(sent, got)
		}
	}
}

// BenchmarkPingPong is a message to a goroutine that waits, and one back.
func BenchmarkPingPong(b *testing.B) {
	for kind, make2 := range map[string]func() (mq.Queue, mq.Queue){
		"sysv":  func() (mq.Queue, mq.Queue) { return private(b), private(b) },
		"posix": func() (mq.Queue, mq.Queue) { return named(b), named(b) },
	} {
		b.Run(kind, func(b *testing.B) {
			there, back := make2()
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			m := mq.Message{Type: 1, Body: []byte("ping")}
			go func() {
				buf := make([]byte, 64)
				for {
					if _, err := there.Receive(ctx, buf); err != nil {
						return
					}
					if back.TrySend(m) != nil {
						return
					}
				}
			}()
			buf := make([]byte, 64)
			for b.Loop() {
				if err := there.TrySend(m); err != nil {
					b.Fatal(err)
				}
				if _, err := back.Receive(ctx, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
