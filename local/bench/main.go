// Command bench compares the service with its S3 server alone: it sends the
// same instances through the service and straight to S3 with the SDK, in turn
// and in one run, so that both run under the same conditions.
//
// The S3 server (the Versity gateway), the service and the sender are separate
// processes. Settings of the service other than its addresses and LOGLEVEL
// come from the environment: THREADCOUNT=4 go run ./local/bench measures with 4.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Run   run      `cmd:"" default:"withargs" help:"Measure (the default)."`
	S3    s3server `cmd:"" name:"s3" hidden:"" help:"Run the S3 server."`
	Post  post     `cmd:"" hidden:"" help:"Send a workload to the service."`
	Put   put      `cmd:"" hidden:"" help:"Put a workload straight into S3."`
	Floor floor    `cmd:"" hidden:"" help:"Receive and put, and nothing else."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	parsed := kong.Parse(&c, kong.Name("bench"), kong.Description("Measures the service against its S3 server alone, in pairs."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
