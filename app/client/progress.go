package client

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// How often the state is shown: on a terminal in one line that is overwritten, elsewhere in
// a new line each time.
const (
	terminalInterval = 200 * time.Millisecond
	lineInterval     = 30 * time.Second
	rateWindow       = 10 * time.Second
)

// progress shows the state of a run. Safe for concurrent use.
type progress struct {
	tally *tally
	pause func() (why string, left time.Duration) // of the gate
	width func() int                              // columns of the terminal; nil: the output is not a terminal

	moved atomic.Int64 // bytes of files whose fate is known, and bytes read by the current requests
	sent  atomic.Int64 // bytes of instances that were read for requests, repetitions included

	mu    sync.Mutex
	out   lines
	shown bool     // the state is on the terminal
	rates []sample // within the last rateWindow
}

type sample struct {
	at   time.Time
	sent int64
}

func newProgress(w io.Writer, t *tally) *progress {
	p := &progress{tally: t, out: lines{w: w}, pause: func() (string, time.Duration) { return "", 0 }}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.width = func() int {
			columns, _, err := term.GetSize(int(file.Fd()))
			if err != nil || columns <= 0 {
				return 80
			}
			return columns
		}
	}
	return p
}

// add adds n bytes to moved. n is negative when an attempt ends, to remove what read has added.
func (p *progress) add(n int64) { p.moved.Add(n) }

// read counts n bytes that a request has read.
func (p *progress) read(n int) {
	p.moved.Add(int64(n))
	p.sent.Add(int64(n))
}

// run shows the state at regular intervals, until done is closed.
func (p *progress) run(done <-chan struct{}) {
	interval := lineInterval
	if p.width != nil {
		interval = terminalInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.show(now)
		case <-done:
			p.clear()
			return
		}
	}
}

func (p *progress) show(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := p.state(now)
	if p.width == nil {
		p.out.print(strings.Join(state.fit(1<<10), ", "))
		return
	}
	line := strings.Join(state.fit(p.width()-3), ", ") // leaves room for ^C, which the terminal shows behind the line
	p.out.write("\r" + line + "\x1b[K")
	p.shown = true
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

func (p *progress) erase() {
	if p.shown {
		p.out.write("\r\x1b[K")
		p.shown = false
	}
}

// note writes a line that is not overwritten.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.out.print(text)
}

// part is a part of the state. If the line is too long, the least important parts are left out first.
type part struct {
	text       string
	importance int
}

type parts []part

// fit returns the texts that fit into so many columns. If only one is left, it is cut if necessary.
func (all parts) fit(columns int) []string {
	for {
		var texts []string
		least := 0
		for n, one := range all {
			texts = append(texts, one.text)
			if one.importance < all[least].importance {
				least = n
			}
		}
		length := utf8.RuneCountInString(strings.Join(texts, ", "))
		if length <= columns {
			return texts
		}
		if len(all) == 1 {
			return []string{string([]rune(texts[0])[:max(columns-1, 0)]) + "…"}
		}
		all = append(append(parts{}, all[:least]...), all[least+1:]...)
	}
}

// state describes the present state of the run.
func (p *progress) state(now time.Time) parts {
	c := p.tally.snapshot()
	bytes := size(c.StoredBytes)
	left := max(c.FoundBytes-p.moved.Load(), 0)
	if c.Walked {
		bytes += ", " + size(left) + " to go"
	}
	all := parts{{comma(c.Stored) + " stored", 6}, {bytes, 1}}
	if !c.Walked {
		all = append(all, part{count(c.Found, "file", "files") + " found so far", 1})
	}
	rate := p.rate(now)
	if why, pause := p.pause(); why != "" {
		waits := fmt.Sprintf("waiting %s", pause.Round(time.Second))
		all = append(all, part{waits, 7}, part{why, 0})
	} else {
		all = append(all, part{fmt.Sprintf("%.1f MB/s", rate/1e6), 2})
		if c.Walked && rate > 0 {
			all = append(all, part{describeLeft(time.Duration(float64(left)/rate*1e9)) + " left", 3})
		}
	}
	if c.Failed > 0 {
		all = append(all, part{fmt.Sprintf("%s failed", comma(c.Failed)), 5})
	}
	return all
}

// rate is in bytes per second, over rateWindow.
func (p *progress) rate(now time.Time) float64 {
	p.rates = append(p.rates, sample{now, p.sent.Load()})
	for len(p.rates) > 2 && now.Sub(p.rates[1].at) >= rateWindow {
		p.rates = p.rates[1:]
	}
	first := p.rates[0]
	if elapsed := now.Sub(first.at).Seconds(); elapsed > 0 {
		return float64(p.sent.Load()-first.sent) / elapsed
	}
	return 0
}
