// Package daemon wires the parts of mqd together and runs them: the queue of each
// route, its landing, its batches and its destination; the control socket; the
// signals; and the stop, which has an order.
//
//	queue -> intake -> landing -> batcher -> destination
//	                      ^------ verdict ------'
//
// It is the only package that knows all the others. Programs use the daemon
// through package client; this package has one importer, cmd/mqd.
//
// It guarantees that a message is removed from its queue only into memory that
// outlives the daemon, and from there only after the destination accepted it.
package daemon
