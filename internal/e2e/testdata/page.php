<?php
// A page that tells something to a slow service and does not wait for it: the
// query has the queue's key and the text. A full queue is tried again for a moment.
$q = msg_get_queue(hexdec($_GET['key']));
for ($try = 0; $try < 200; $try++) {
    if (@msg_send($q, 1, $_GET['text'], isset($_GET['serialize']), false, $error)) {
        echo "sent\n";
        return;
    }
    if ($error != 11) {
        break;
    }
    usleep(1000);
}
http_response_code(503);
echo "errno $error\n";
