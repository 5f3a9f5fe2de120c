package main

import (
	"strconv"
	"strings"
	"time"
)

// quickSend reads the command line of a send without the parser. A process that
// sends one message is done in about the time that building the parser takes, and
// scripts start it for every message.
//
// It decides nothing: whatever is not plainly right is not ok, and then the parser
// has the word, with its messages. A test holds the two against each other.
func quickSend(args []string) (g globals, send sendCmd, ok bool) {
	send.Type = 1
	values := map[string]*string{
		"--queue": &g.Queue, "--socket": &g.Socket, "--runtime": &g.Runtime, "--state": &g.State,
		"--file": &send.File, "--route": &send.Route, "--key": &send.Key, "--id": &send.ID,
	}
	var mtype, timeout string
	values["--type"], values["--timeout"] = &mtype, &timeout
	bools := map[string]*bool{"--lines": &send.Lines, "--flush": &send.Flush, "--json": &send.JSON}

	command, bodies := false, false // seen the word "send"; the run of bodies is over
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			switch {
			case !command && arg == "send":
				command = true
			case !command || bodies:
				return g, send, false
			default:
				send.Body = append(send.Body, arg)
			}
			continue
		}
		bodies = len(send.Body) > 0
		if flag := bools[arg]; flag != nil {
			if !command {
				return g, send, false // not a global flag
			}
			*flag = true
			continue
		}
		name, value, joined := strings.Cut(arg, "=")
		target := values[name]
		if target == nil || !command && !isGlobal(name) {
			return g, send, false
		}
		if !joined {
			if i++; i == len(args) || strings.HasPrefix(args[i], "-") {
				return g, send, false
			}
			value = args[i]
		}
		if value == "" || *target != "" { // empty or repeated: rare enough
			return g, send, false
		}
		*target = value
	}
	if mtype != "" {
		n, err := strconv.ParseInt(mtype, 10, 64)
		if err != nil {
			return g, send, false
		}
		send.Type = n
	}
	if timeout != "" {
		d, err := time.ParseDuration(timeout)
		if err != nil {
			return g, send, false
		}
		send.Timeout = d
	}
	return g, send, command && send.Validate() == nil
}

func isGlobal(flag string) bool {
	switch flag {
	case "--queue", "--socket", "--runtime", "--state":
		return true
	}
	return false
}
