package mq_test

import (
	"context"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

const benchSize = 256

// BenchmarkBare is the floor of the others: the two system calls and nothing else.
func BenchmarkBare(b *testing.B) {
	id := uintptr(private(b).ID())
	msg := make([]byte, 8+benchSize)
	msg[0] = 1
	for b.Loop() {
		_, _, sent := unix.RawSyscall6(unix.SYS_MSGSND, id, uintptr(unsafe.Pointer(&msg[0])), benchSize, unix.IPC_NOWAIT, 0, 0)
		_, _, got := unix.RawSyscall6(unix.SYS_MSGRCV, id, uintptr(unsafe.Pointer(&msg[0])), benchSize, 0, unix.IPC_NOWAIT, 0)
		if sent != 0 || got != 0 {
			b.Fatal(sent, got)
		}
	}
}

func BenchmarkRaw(b *testing.B) {
	q := private(b)
	msg := make([]byte, 8+benchSize)
	msg[0] = 1
	b.ReportAllocs()
	for b.Loop() {
		sent := q.TrySendRaw(msg)
		if _, got := q.TryReceiveRaw(msg); sent != 0 || got != 0 {
			b.Fatal(sent, got)
		}
	}
}

func BenchmarkRawWithWait(b *testing.B) {
	q := private(b)
	w := q.NewWaiter(context.Background())
	defer w.Close()
	msg := make([]byte, 8+benchSize)
	msg[0] = 1
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
