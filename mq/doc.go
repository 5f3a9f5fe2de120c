// Package mq gives Go programs the message queues of the Linux kernel: System V
// queues (msgget(2), msgsnd(2), msgrcv(2), msgctl(2)) and POSIX queues
// (mq_overview(7)). It makes the system calls itself, without cgo, and needs
// 64-bit Linux.
//
// A queue is shared by all processes of one IPC namespace (ipc_namespaces(7)).
// It is memory of the kernel: it outlives the processes that use it, and it is
// gone after a reboot, after ipcrm(1) and at the end of its namespace.
//
// # Who should use something else
//
// A program that only wants to hand a message to the daemon mqd takes package
// client, which finds the queue and knows what to do when it is full. Goroutines
// of one program take a channel. Whoever needs a message to survive a reboot
// writes it to a disk: nothing in this package does.
//
// # What is guaranteed
//
//   - A message that Send or TrySend accepted is in kernel memory.
//   - No call of this package sleeps inside a call that takes a message off a
//     queue. msgrcv(2) hands a message straight to a sleeping receiver, and if
//     that is killed before it returns, the message is gone. So the System V
//     calls wait without consuming, and take the message in a second call that
//     never sleeps; POSIX queues wait on the runtime's poller. A message of
//     length zero on a System V queue is the one exception: see [SysV.Wait].
//   - A context ends every call that may wait, and so does Close.
//   - A signal never makes a call fail: EINTR does not leave the package.
//   - Errors keep their cause: [errors.Is] finds the sentinels of this package,
//     the errno, and [io/fs.ErrNotExist], [io/fs.ErrExist] or
//     [io/fs.ErrPermission]; [errors.As] finds a [LimitError], which holds both
//     the value and the limit.
//
// # Two layers
//
// [Queue] is what both kinds can do. The methods whose names end in Raw are one
// system call each, on memory of the caller, without allocation; a program that
// moves a million messages a second builds on them.
package mq
