package client

// Status is the state of a daemon and all its routes, as GET /v1/status and
// "mqctl status --json" give it.
type Status struct {
	Version int           `json:"version"` // of this form: StatusVersion
	PID     int           `json:"pid"`
	Routes  []RouteStatus `json:"routes"` // never null
}

// StatusVersion is the version of the form of [Status]. Members are added
// without changing it.
const StatusVersion = 1

// State is what a route is doing.
type State string

// The states of a route.
const (
	StateOK         State = "ok"
	StateBackingOff State = "backing_off" // the destination fails; tried again with growing pauses
	StateHeld       State = "held"        // something needs a person; LastError says what
	StatePaused     State = "paused"      // by a person
	StateDiskFull   State = "disk_full"
	StateDiskError  State = "disk_error"
	StateOrphaned   State = "orphaned" // no longer configured, with messages waiting
)

// States gives all states, ok first.
func States() []State {
	return []State{StateOK, StateBackingOff, StateHeld, StatePaused, StateDiskFull, StateDiskError, StateOrphaned}
}

// RouteStatus is the state of one route. The totals count since the daemon
// started.
type RouteStatus struct {
	Name  string `json:"name"`
	Queue string `json:"queue"` // address, "sysv:0x6d716431"
	State State  `json:"state"`

	// LastError is what the destination or the queue said last, "" if nothing
	// is wrong.
	LastError string `json:"last_error"`

	Depth      int64 `json:"depth"`       // messages on the kernel queue
	Pending    int64 `json:"pending"`     // messages in the spool, those in flight included
	InFlight   int64 `json:"in_flight"`   // messages in requests that have no answer yet
	Slots      int64 `json:"slots"`       // requests that may be in flight at once
	Oldest     int64 `json:"oldest_s"`    // age of the oldest pending message, whole seconds
	QueueBytes int64 `json:"queue_bytes"` // msg_qbytes of the kernel queue

	Delivered int64 `json:"delivered_total"` // messages
	Dead      int64 `json:"dead_total"`      // messages
	Expired   int64 `json:"expired_total"`   // messages
	Requests  int64 `json:"requests_total"`  // requests, tries again included
	Retries   int64 `json:"retries_total"`   // requests that were tries again

	// Landing says how messages are kept between the kernel queue and the
	// spool: locked, unlocked or peek.
	Landing string `json:"landing"`
}
