<?php
// msgsnd.php MODE KEY TYPE HEX...: sends each payload, given in hexadecimal.
// MODE raw is msg_send without serialisation; serialize is its default; values
// sends what only PHP has instead of the payloads.
[, $mode, $key, $type] = $argv;
$q = msg_get_queue(hexdec($key));
$messages = $mode == 'values'
    ? [42, 3.5, true, null, ['a' => 1, 'b' => [1, 2]], new ArrayObject([7])]
    : array_map('hex2bin', array_slice($argv, 4));
foreach ($messages as $message) {
    if (!msg_send($q, (int)$type, $message, $mode != 'raw', true, $error)) {
        fwrite(STDERR, "msg_send: errno $error\n");
        exit(1);
    }
}
