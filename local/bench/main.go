// Command bench measures the service against what its S3 server can take: the
// same instances through the service and straight to S3 with the SDK, in turn
// and in one run, so that both meet the same machine in the same mood.
//
// The S3 server (the Versity gateway), the service and whoever sends are a
// process each. Settings of the service other than its addresses and LOGLEVEL
// come from the environment, so THREADCOUNT=4 go run ./local/bench measures that.
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
	Run  run      `cmd:"" default:"withargs" help:"Measure (the default)."`
	S3   s3server `cmd:"" name:"s3" hidden:"" help:"Run the S3 server."`
	Post post     `cmd:"" hidden:"" help:"Send a workload to the service."`
	Put  put      `cmd:"" hidden:"" help:"Put a workload straight into S3."`
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
