// Package client puts messages on the queue of mqd, the daemon that forwards
// them, and asks the daemon how it is.
//
// It is for a program on the same host as mqd that has something to tell a slow,
// far or busy service and must not wait for it. The zero [Client] is ready; it
// finds the queue of the route by itself:
//
//	var c client.Client // route "default"
//	err := c.Send(ctx, client.Message{Body: body})
//
// # What a nil error means
//
// After Send, TrySend and for the messages that SendBatch counts, the message is
// queued: it is in kernel memory, where it survives the death of this process and
// of the daemon, and waits for a daemon that is not running. It does not survive
// a reboot, nor the removal of the queue (ipcrm(1)). Delivery is at least once,
// and messages from one goroutine keep their order on the queue.
//
// # Who should not use it
//
// A program that needs the answer of the remote service, or must not go on before
// the message is on disk: the queue tells neither. A program in a container
// without the IPC namespace of the daemon: it cannot reach the queue. And small
// scripts: "mqctl send", or msg_send in PHP, needs no Go.
//
// # Where the queue is
//
// The first of these that answers wins:
//
//  1. the fields of Client;
//  2. the environment: MQD_QUEUE, MQD_SOCKET, MQD_RUNTIME, MQD_STATE;
//  3. routes.json in [RuntimeDir] and [StateDir], if it names the route;
//  4. routes.json in /run/mqd and /var/lib/mqd.
//
// A runtime or state directory that is named in 1 or 2 is the only place where
// routes.json is looked for. The file is trusted if it and its directory belong
// to root, the calling user or user mqd, and nobody else may write to them.
//
// # Cost
//
// Send copies the message once, makes one system call, and allocates nothing.
// The package does not import net/http, which would add 0.4 ms to the start of a
// command that takes 1 ms without it (measured), and 4 MB to its size.
package client
