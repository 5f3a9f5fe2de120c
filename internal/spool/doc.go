// Package spool keeps what was accepted and is not settled. Today it is the
// landing alone: slabs of tmpfs memory that the kernel copies each message into,
// so that there is no instant at which a message exists only in the private
// memory of the daemon.
//
// A slab is landing, record layout and batch memory at once: a message is written
// once, by the kernel, and never moved; a batch is made of [Span] values that
// point to it.
//
// It guarantees that a message whose msgrcv(2) has returned, or was cut by a
// SIGKILL behind the copy, is found again by the next [Open] until [Landing.Settle]
// has noted it. It does not outlive a reboot. It knows no network and no batches,
// and nothing but internal/daemon has a use for it.
package spool
