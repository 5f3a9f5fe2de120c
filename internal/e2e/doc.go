// Package e2e tests the daemon from outside: it builds mqd and mqctl, starts them
// as processes, sends to their queues with programs in other languages, receives
// over HTTP, kills, and counts.
//
// It has no code of its own; its tests are its content. A test of one package's
// insides belongs to that package. What is guaranteed here is what a person sees
// who has the two programs and the documentation.
//
// The programs of other languages are in testdata. A test whose interpreter is
// missing is skipped, see package testkit.
package e2e
