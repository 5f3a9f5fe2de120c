package mq_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mqdaemon/mqd/mq"
)

// A queue of one's own, a message in and out.
func Example() {
	addr, err := mq.ParseAddr(fmt.Sprintf("posix:/mq-example-%d", os.Getpid()))
	if err != nil {
		fmt.Println(err)
		return
	}
	q, err := mq.Open(addr, &mq.Options{Create: true, MaxMessages: 4, MaxMessageSize: 128})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mq.Remove(addr)
	defer q.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := q.Send(ctx, mq.Message{Type: 1, Body: []byte("hello")}); err != nil {
		fmt.Println(err)
		return
	}
	m, err := q.Receive(ctx, make([]byte, 128))
	fmt.Printf("%s %v\n", m.Body, err)
	// Output: hello <nil>
}

func ExampleParseAddr() {
	for _, s := range []string{"sysv:1836147761", "posix:/mqd", "sysv:0"} {
		addr, err := mq.ParseAddr(s)
		fmt.Println(addr, err)
	}
	// Output:
	// sysv:0x6d716431 <nil>
	// posix:/mqd <nil>
	//  queue address "sysv:0": key 0 is IPC_PRIVATE: every process would get a new queue of its own
}

// A full queue tells how full, and a message that can never fit is another error.
func ExampleLimitError() {
	q, err := mq.OpenSysV(0, &mq.Options{Create: true, Mode: 0o600, MaxBytes: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Remove()
	_ = q.TrySend(mq.Message{Type: 1, Body: make([]byte, 90)})
	for _, size := range []int{20, 200} {
		err := q.TrySend(mq.Message{Type: 1, Body: make([]byte, size)})
		if limit, ok := errors.AsType[*mq.LimitError](err); ok {
			fmt.Println(errors.Is(err, mq.ErrFull), errors.Is(err, mq.ErrTooLarge), limit)
		}
	}
	// Output:
	// true false queue full: 110 is over msg_qbytes = 100
	// false true message too large: 200 is over msg_qbytes = 100
}

// The message that should be seen first is not always the first one sent.
func ExampleSysV_ReceiveType() {
	q, err := mq.OpenSysV(0, &mq.Options{Create: true, Mode: 0o600})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Remove()
	for mtype, body := range map[int64]string{7: "seven", 3: "three"} {
		if err := q.TrySend(mq.Message{Type: mtype, Body: []byte(body)}); err != nil {
			fmt.Println(err)
		}
	}
	buf := make([]byte, 64)
	for range 2 {
		m, err := q.ReceiveType(context.Background(), buf, -10) // the lowest type up to 10
		fmt.Printf("%d %s %v\n", m.Type, m.Body, err)
	}
	// Output:
	// 3 three <nil>
	// 7 seven <nil>
}

// A receiver that loses no message when it is killed while it waits, and makes one
// system call for each message when there are many.
func ExampleSysV_NewWaiter() {
	q, err := mq.OpenSysV(0, &mq.Options{Create: true, Mode: 0o600})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Remove()
	for _, body := range []string{"one", "two", ""} {
		_ = q.TrySend(mq.Message{Type: 1, Body: []byte(body)})
	}

	w := q.NewWaiter(context.Background())
	defer w.Close()
	buf := make([]byte, 8+1024) // mtype and text
	for {
		doorbell, err := w.Wait()
		if err != nil || doorbell != 0 {
			fmt.Println("doorbell", doorbell, err)
			return
		}
		for range 2 {
			n, errno := q.TryReceiveRaw(buf)
			fmt.Printf("%s %v\n", buf[8:8+n], q.ReceiveError(errno, len(buf)-8))
		}
	}
	// Output:
	// one <nil>
	// two <nil>
	// doorbell 1 <nil>
}
