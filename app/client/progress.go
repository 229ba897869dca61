package client

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress tells how far sending is: a bar on a terminal, elsewhere a line for each
// finished batch. Safe for concurrent use.
//
// The bar counts the bytes of instances whose fate is known and of those under way, so
// that the bytes of a failed attempt leave it again and it never exceeds its end.
type progress struct {
	mu    sync.Mutex
	out   lines
	bar   *progressbar.ProgressBar // nil: not a terminal
	total int64                    // bytes
	done  int64                    // bytes
}

func newProgress(w io.Writer, total int64) *progress {
	p := &progress{out: lines{w: w}, total: total}
	if file, ok := w.(*os.File); ok && total > 0 && term.IsTerminal(int(file.Fd())) {
		p.bar = newBar(w, total)
	}
	return p
}

func newBar(w io.Writer, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(100*time.Millisecond),
	)
}

// add counts n bytes, which may be negative.
func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.bar != nil {
		p.render()
	}
}

// render shows the state. A bar that once was full stays full, so the last byte is kept back for finish.
func (p *progress) render() {
	_ = p.bar.Set64(max(0, min(p.done, p.total-1))) // a bar that cannot be drawn is no reason to stop
}

// line is shown where there is no bar.
func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		p.out.print(text)
	}
}

// note is shown everywhere, above the bar.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.out.print(text)
}

// finish leaves the bar as it is, full if all was done, and ends its line.
func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		return
	}
	if p.done >= p.total {
		_ = p.bar.Finish()
	} else {
		_ = p.bar.Exit()
	}
	p.out.write("\n")
}
