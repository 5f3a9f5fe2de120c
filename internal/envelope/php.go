package envelope

// phpString unwraps what PHP's msg_send makes of a string when it is not told
// otherwise: s:N:"..."; with N the number of bytes in decimal, and nothing
// after. Every other PHP value stays as it is.
// https://www.php.net/manual/en/function.serialize.php
func phpString(p []byte) (body []byte, ok bool) {
	const shortest = len(`s:0:"";`)
	if len(p) < shortest || p[0] != 's' || p[1] != ':' {
		return nil, false
	}
	n, i := 0, 2
	for ; i < len(p) && p[i] >= '0' && p[i] <= '9'; i++ {
		if n = n*10 + int(p[i]-'0'); n > len(p) {
			return nil, false // and n cannot overflow
		}
	}
	if i == 2 || (p[2] == '0' && i > 3) { // no digits, or a leading zero
		return nil, false
	}
	// What is left must be : " body " ; exactly.
	if len(p)-i != n+4 || p[i] != ':' || p[i+1] != '"' || p[len(p)-2] != '"' || p[len(p)-1] != ';' {
		return nil, false
	}
	return p[i+2 : i+2+n : i+2+n], true
}
