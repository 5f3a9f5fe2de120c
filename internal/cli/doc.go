// Package cli is what the commands mqd and mqctl share at the edge to a person or
// a script: exit codes, the form of an error on standard error, the version,
// tables, and the escaping of bytes that did not come from us.
//
// Only the packages under cmd import it. It knows nothing of queues, sockets or
// the daemon, and it keeps net/http and the log handlers out of mqctl, whose
// start-up time is part of its contract.
//
// It guarantees that what [Escape] gives, and what [Table] and [Exit] print, holds
// no byte that a terminal acts on.
//
// # The rules of the output
//
//   - Data goes to standard output; everything else goes to standard error and
//     starts with the program's name.
//   - A message starts in lower case and has no full stop; what to do about it
//     stands below on a line that starts with "hint:".
//   - Colour is for terminals only, and NO_COLOR switches it off.
package cli
