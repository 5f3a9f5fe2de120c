package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mqdaemon/mqd/internal/config"
	"github.com/mqdaemon/mqd/mq"
)

// Check writes what a daemon with this configuration would run and what it would
// find. It changes nothing.
func Check(w io.Writer, cfg *config.Config) error {
	limits, err := mq.SystemLimits()
	if err != nil {
		return err
	}
	return cfg.Summary(w, func(r *config.Route) []string { return []string{queueFacts(r, limits)} })
}

// queueFacts says what is at the route's address now, and what to do about it.
func queueFacts(r *config.Route, limits mq.Limits) string {
	q, err := mq.Open(r.Queue, nil)
	var st mq.Stat
	if err == nil {
		st, err = q.Stat()
		err = errors.Join(err, q.Close())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s := "not there, will be made"
		if r.QueueBytes > limits.MsgMnb {
			s += fmt.Sprintf("; queue_bytes %d is more than msgmnb %d: sysctl -w kernel.msgmnb=%d",
				r.QueueBytes, limits.MsgMnb, r.QueueBytes)
		}
		return s
	case err != nil:
		return err.Error()
	}
	s := fmt.Sprintf("%d messages, uid %d, gid %d, mode %#o, %d bytes", st.Messages, st.UID, st.GID, st.Mode.Perm(), st.MaxBytes)
	if st.Mode&foreignRead != 0 {
		s += "; clients can take each other's messages, the mode will be set to " + fmt.Sprintf("%#o", r.Mode.Perm())
	}
	if r.QueueBytes > 0 && st.MaxBytes != r.QueueBytes {
		s += fmt.Sprintf("; queue_bytes wants %d: sysctl -w kernel.msgmnb=%d", r.QueueBytes, r.QueueBytes)
	}
	return s
}
