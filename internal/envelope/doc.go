// Package envelope reads and writes what lies in one kernel message.
//
// A kernel message is one of four kinds. Most programs put their payload there
// as it is ([Raw]). Package client wraps it in a binary frame ([Envelope]) that
// carries attributes and can hold many messages. Languages without handy binary
// packing use a JSON object with the member "mqd":1 ([JSON]). PHP serialises a
// string unless told otherwise ([PHP]).
//
// The binary frame, all integers little-endian:
//
//	+----------------+--------------+-----------+
//	| cd 6d 71 01    | u32 length   | u32 count |  length is that of the whole frame
//	+----------------+--------------+-----------+
//	count times:
//	+-----------------+-----------+---------------------------+------+
//	| u32 body length | u16 flags | attributes, flag-bit order| body |
//	+-----------------+-----------+---------------------------+------+
//
//	bit  attribute     form
//	0    id            u8 length, bytes
//	1    key           u8 length, bytes
//	2    priority      u8, 0 to 9
//	3    ttl           i64 ns, >= 0
//	4    delay         i64 ns, >= 0
//	5    content_type  u8 length, bytes
//	6    reply_type    i64, a System V mtype, >= 0
//	7    trace         u8 length, bytes
//	8    time          i64 ns since 1970 UTC, >= 0
//
// The byte 0xcd before an ASCII letter is not valid UTF-8 and starts none of the
// other kinds, so text is never taken for a frame.
//
// Guarantee: [Detect] calls a payload a frame only when every byte of it is
// accounted for; everything else is a raw message and passes unchanged. No
// decoder panics, reads outside the payload or changes it, whatever it is given.
//
// The package is not for producers: they import package client, or write plain
// bytes to the queue.
package envelope
