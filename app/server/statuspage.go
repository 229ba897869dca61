package server

import (
	"io"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"
	g "maragu.dev/gomponents"
	. "maragu.dev/gomponents/html" //nolint:staticcheck // the page reads as the HTML that it makes
)

// Render writes the page as HTML, all text escaped. It implements gomponents.Node.
func (v statusView) Render(w io.Writer) error {
	var again g.Node
	if v.Refresh > 0 {
		again = Meta(g.Attr("http-equiv", "refresh"), Content(strconv.Itoa(v.Refresh)))
	}
	return Doctype(HTML(
		Lang("en"),
		Head(
			Meta(Charset("utf-8")),
			Meta(Name("viewport"), Content("width=device-width, initial-scale=1")),
			Meta(Name("color-scheme"), Content("light dark")),
			again,
			TitleEl(g.Text(v.Word+": stowrs")),
			Link(Rel("icon"), Href("data:,")),
			Link(Rel("stylesheet"), Href("status.css")),
		),
		Body(
			v.header(),
			Main(g.Map(v.Troubles, troubleView.section), v.nowSection(), v.hourSection(), v.failuresSection()),
			v.footer(),
		),
	)).Render(w)
}

func (v statusView) header() g.Node {
	state := "bad"
	switch v.Word {
	case "ready":
		state = "good"
	case "degraded":
		state = "fair"
	}
	told, path, link := "It stays as it is. ", "?", "Load again every 10 seconds"
	if v.Refresh > 0 {
		told, path, link = "Loads again every "+strconv.Itoa(v.Refresh)+" seconds. ", "?refresh=off", "Keep it still"
	}
	return Header(
		H1(g.Text("stowrs "), Strong(Class("state "+state), g.Text(v.Word))),
		P(Time(g.Text(utc(v.Now))), g.Text(" UTC. "+told), A(Href(path), g.Text(link))),
	)
}

func (t troubleView) section() g.Node {
	var fault, said g.Node
	if t.Fault != "" {
		fault = P(g.Text(t.Fault + "."))
	}
	if t.Said != "" {
		said = P(B(g.Text("The error:")), g.Text(" "), Code(g.Text(t.Said)))
	}
	return Section(Class("trouble"), H2(g.Text(t.What)), fault, P(B(g.Text("What to do:")), g.Text(" "+t.Remedy+".")), said)
}

func (v statusView) nowSection() g.Node {
	waiting := ""
	for i, w := range v.Waiting {
		if i > 0 {
			waiting += ", "
		}
		waiting += count(w.N) + " " + w.Name
	}
	return Section(H2(g.Text("Now")), Ul(Class("bounds"), g.Map(v.Bounds, boundView.item)), P(g.Text(waiting+".")))
}

func (b boundView) item() g.Node {
	format := func(n int64) string { return strconv.FormatInt(n, 10) }
	if b.Bytes {
		format = size
	}
	by := b.By
	if b.Remark != "" {
		by += ": " + b.Remark
	}
	return Li(
		P(Class("line"), Span(g.Text(b.Name)), g.Text(" "), Span(g.Text(format(b.Used)+" of "+format(b.Of)))),
		Meter(Min("0"), Max(strconv.FormatInt(b.Of, 10)), Value(strconv.FormatInt(b.Used, 10)), TitleAttr(b.Name)),
		small(by),
	)
}

func (v statusView) hourSection() g.Node {
	row := func(head string, cell func(rateView) g.Node) g.Node {
		return Tr(Th(g.Attr("scope", "row"), g.Text(head)), g.Map(v.Rates, cell))
	}
	number := func(of func(rateView) int) func(rateView) g.Node {
		return func(r rateView) g.Node { return Td(g.Text(count(of(r)))) }
	}
	perTime := func(total, rate string) g.Node {
		return Td(g.Text(total), Br(), Span(Class("small"), g.Text(rate)))
	}
	return Section(
		H2(g.Text("Last hour")),
		Table(
			Tr(Td(), g.Map(v.Rates, func(r rateView) g.Node { return Th(g.Attr("scope", "col"), g.Text(r.Span)) })),
			row("Store requests answered", number(func(r rateView) int { return r.Requests })),
			row("of them refused as a whole", number(func(r rateView) int { return r.Refused })),
			row("instances stored", func(r rateView) g.Node { return perTime(count(r.Stored), count(r.StoredPerMinute())+"/min") }),
			row("instances failed", number(func(r rateView) int { return r.Failed })),
			row("received", func(r rateView) g.Node { return perTime(size(r.Bytes), size(r.BytesPerSecond())+"/s") }),
		),
		Figure(
			SVG(g.Attr("viewBox", "0 0 600 100"), g.Attr("preserveAspectRatio", "none"), Role("img"),
				Aria("label", "instances of each minute of the last hour"), g.Map(v.Bars, barView.rectangles)),
			FigCaption(Class("small"),
				g.Text("Instances "), Span(Class("stored"), g.Text("stored")), g.Text(" and "), Span(Class("failed"), g.Text("failed")),
				g.Text(" in each minute of the last hour; "+count(v.Most)+" at most. A request counts when it is answered.")),
		),
	)
}

func (b barView) rectangles() g.Node {
	rectangle := func(class string, y, height int) g.Node {
		if height == 0 {
			return nil
		}
		return g.El("rect", Class(class), g.Attr("x", strconv.Itoa(b.X)), g.Attr("y", strconv.Itoa(y)), Width("9"), Height(strconv.Itoa(height)))
	}
	return g.Group{rectangle("stored", b.StoredY, b.Stored), rectangle("failed", b.FailedY, b.Failed)}
}

func (v statusView) failuresSection() g.Node {
	title := H2(g.Text("Last failures"))
	if len(v.Failures) == 0 {
		return Section(title, P(g.Text("None since the start.")))
	}
	return Section(title, Ul(Class("failures"), g.Map(v.Failures, failed.item)), small("The records of the log name the UIDs, as far as they are known."))
}

func (f failed) item() g.Node {
	return Li(
		P(Class("line"), B(g.Text(f.Code())), g.Text(" "), Span(g.Text(count(f.Times)+" since the start"))),
		P(g.Text(f.Words())),
		small("last at "+utc(f.Last)+" UTC"),
	)
}

func (v statusView) footer() g.Node {
	link := func(path string) g.Node { return A(Href(path), g.Text("/"+path)) }
	return Footer(
		P(g.Text("Version "+v.Version+", up for "+v.Uptime.String()+", since "+utc(v.Started)+" UTC.")),
		P(link("metrics"), g.Text(" "), link("readyz"), g.Text(" "), link("livez")),
	)
}

func small(text string) g.Node { return P(Class("small"), g.Text(text)) }

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func count(n int) string { return humanize.Comma(int64(n)) }

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
