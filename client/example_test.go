package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/mq"
)

// exampleQueue makes a queue that the examples can send to without a daemon. A
// program does not do this: the zero Client finds the queue of the daemon.
func exampleQueue() (addr mq.Addr, remove func()) {
	q, err := mq.OpenSysV(mq.Key(1+rand.Int32N(1<<30)), &mq.Options{Create: true, Exclusive: true, Mode: 0o600})
	if err != nil {
		log.Fatal(err)
	}
	return q.Addr(), func() { _ = q.Remove() }
}

func Example() {
	queue, remove := exampleQueue()
	defer remove()

	c := &client.Client{Queue: queue} // client.Client{} in a program
	defer c.Close()

	err := c.Send(context.Background(), client.Message{
		Key:         "order-1017",
		ContentType: "application/json",
		Body:        []byte(`{"paid":true}`),
	})
	fmt.Println("queued:", err == nil)
	// Output: queued: true
}

// Many messages at once share kernel messages. What was not accepted is sent
// again later, and nothing twice.
func ExampleClient_SendBatch() {
	queue, remove := exampleQueue()
	defer remove()
	c := &client.Client{Queue: queue}
	defer c.Close()

	var messages []client.Message
	for i := range 50 {
		messages = append(messages, client.Message{Body: fmt.Appendf(nil, "line %d", i)})
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	accepted, err := c.SendBatch(ctx, messages)
	rest := messages[accepted:]
	fmt.Println(accepted, len(rest), err)
	// Output: 50 0 <nil>
}

// A web handler does not wait for the service that it tells something, nor for
// room on the queue.
func ExampleClient_TrySend() {
	queue, remove := exampleQueue()
	defer remove()
	c := &client.Client{Queue: queue} // one for all requests
	defer c.Close()

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4096))
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		switch err := c.TrySend(client.Message{Body: body}); {
		case errors.Is(err, client.ErrFull):
			w.Header().Set("Retry-After", "1")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case err != nil:
			log.Print(err)
			http.Error(w, "not accepted", http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader("order 1017")))
	fmt.Println(w.Code)
	// Output: 202
}

// A message that can never be sent is refused, and the error says by which limit.
func ExampleClient_Send_tooLarge() {
	queue, remove := exampleQueue()
	defer remove()
	c := &client.Client{Queue: queue}
	defer c.Close()

	err := c.Send(context.Background(), client.Message{Body: make([]byte, 1<<20)})
	if limit, ok := errors.AsType[*mq.LimitError](err); ok {
		fmt.Println(limit.Limit, limit.Have > limit.Max)
	}
	// Output: msgmax true
}

// Status tells a daemon that is not there from one that refuses.
func ExampleClient_Status() {
	c := &client.Client{Socket: "/nowhere/mqd.sock"} // "" in a program
	_, err := c.Status(context.Background())
	fmt.Println(errors.Is(err, client.ErrNotRunning))
	// Output: true
}

// Wake makes the daemon send what it has now, with no more than the permission to
// send messages.
func ExampleClient_Wake() {
	queue, remove := exampleQueue()
	defer remove()
	c := &client.Client{Queue: queue}
	defer c.Close()

	fmt.Println(c.Wake(context.Background()))
	// Output: <nil>
}
