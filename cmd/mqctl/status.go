package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
)

type statusCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help is the explanation in --help.
func (statusCmd) Help() string {
	return `One line for each route. DEPTH counts the kernel messages on the queue, and one of them may hold many messages that were packed together; PENDING counts those that the daemon has taken and not yet settled, FLIGHT those in requests without an answer; OLDEST is the age of the oldest pending one. The totals count since the daemon started.`
}

// Examples are those in --help.
func (statusCmd) Examples() string {
	return `mqctl status
mqctl status --json | jq '.routes[] | select(.state != "ok")'
`
}

// Run prints what the daemon says about itself.
func (cmd *statusCmd) Run(ctx context.Context, s stdio, c *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	status, err := c.Status(ctx)
	if err != nil {
		return controlError(err)
	}
	if cmd.JSON {
		return cli.WriteJSON(s.out, status)
	}
	_, err = statusTable(status, cli.UseColour(s.out)).WriteTo(s.out)
	return err
}

// statusTable lays out a status for eyes: the state first, since that is what one
// looks for, and what went wrong below its route.
func statusTable(status *client.Status, colour bool) *cli.Table {
	t := &cli.Table{Colour: colour}
	heading := []cli.Cell{{Text: "STATE"}, {Text: "ROUTE"}, {Text: "QUEUE"}}
	for _, name := range []string{"DEPTH", "PENDING", "FLIGHT", "SLOTS", "OLDEST", "DELIVERED", "DEAD", "EXPIRED", "REQUESTS", "RETRIES"} {
		heading = append(heading, cli.Cell{Text: name, Right: true})
	}
	t.Cells(append(heading, cli.Cell{Text: "LANDING"})...)
	for i := range status.Routes {
		r := &status.Routes[i]
		cells := []cli.Cell{{Text: string(r.State), Colour: stateColour(r.State)}, {Text: r.Name}, {Text: r.Queue}}
		for _, n := range []int64{r.Depth, r.Pending, r.InFlight, r.Slots} {
			cells = append(cells, number(n))
		}
		cells = append(cells, cli.Cell{Text: age(r.Oldest), Right: true})
		for _, n := range []int64{r.Delivered, r.Dead, r.Expired, r.Requests, r.Retries} {
			cells = append(cells, number(n))
		}
		t.Cells(append(cells, cli.Cell{Text: r.Landing})...)
		if r.LastError != "" {
			t.Note(r.LastError)
		}
	}
	if len(status.Routes) == 0 {
		t.Note(fmt.Sprintf("mqd runs as process %d and has no routes", status.PID))
	}
	return t
}

func number(n int64) cli.Cell { return cli.Cell{Text: strconv.FormatInt(n, 10), Right: true} }

// age writes seconds as a duration, "1h2m3s".
func age(seconds int64) string {
	if seconds == 0 {
		return "-"
	}
	return (time.Duration(seconds) * time.Second).String()
}

// stateColour is green for a route that works, yellow for one that will by itself,
// and red for one that needs a person.
func stateColour(s client.State) cli.Colour {
	switch s {
	case client.StateOK:
		return cli.Green
	case client.StateBackingOff, client.StatePaused:
		return cli.Yellow
	default:
		return cli.Red
	}
}
