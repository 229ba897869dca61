package stow

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/storeresponse"
)

// Media types of the Capabilities Description (PS3.18 §8.9).
const (
	mediaTypeWADL     = "application/vnd.sun.wadl+xml"
	mediaTypeWADLJSON = "application/json"
)

// The Capabilities Description is a WADL document (PS3.18 Annex H). Its JSON form
// has the same elements and attributes by the same names; no standard defines one.
type wadlApplication struct {
	XMLName   xml.Name      `xml:"http://wadl.dev.java.net/2009/02 application" json:"-"`
	Resources wadlResources `xml:"resources" json:"resources"`
}

type wadlResources struct {
	Base     string         `xml:"base,attr" json:"base"`
	Resource []wadlResource `xml:"resource" json:"resource"`
}

type wadlResource struct {
	Path     string         `xml:"path,attr" json:"path"`
	Param    *wadlParam     `xml:"param" json:"param,omitempty"`
	Method   []wadlMethod   `xml:"method" json:"method,omitempty"`
	Resource []wadlResource `xml:"resource" json:"resource,omitempty"`
}

type wadlMethod struct {
	Name     string         `xml:"name,attr" json:"name"`
	ID       string         `xml:"id,attr" json:"id"`
	Request  wadlRequest    `xml:"request" json:"request"`
	Response []wadlResponse `xml:"response" json:"response"`
}

type wadlRequest struct {
	Param          []wadlParam          `xml:"param" json:"param"`
	Representation []wadlRepresentation `xml:"representation" json:"representation"`
}

type wadlParam struct {
	Name    string       `xml:"name,attr" json:"name"`
	Style   string       `xml:"style,attr" json:"style"`
	Type    string       `xml:"type,attr,omitempty" json:"type,omitempty"`
	Default string       `xml:"default,attr,omitempty" json:"default,omitempty"`
	Option  []wadlOption `xml:"option" json:"option,omitempty"`
}

type wadlOption struct {
	Value string `xml:"value,attr" json:"value"`
}

type wadlResponse struct {
	Status         string               `xml:"status,attr" json:"status"`
	Representation []wadlRepresentation `xml:"representation" json:"representation"`
}

type wadlRepresentation struct {
	MediaType string `xml:"mediaType,attr" json:"mediaType"`
}

// capabilities describes the Store transaction at its two resources (PS3.18 Table H-1), and with commitment those of §13.
func capabilities(base string, commitment bool) wadlApplication {
	module := []wadlRepresentation{{storeresponse.MediaTypeJSON}, {storeresponse.MediaTypeXML}}
	problem := []wadlRepresentation{{"application/problem+json"}}
	accept := wadlParam{Default: storeresponse.MediaTypeJSON, Option: []wadlOption{{storeresponse.MediaTypeJSON}, {storeresponse.MediaTypeXML}}}
	header, query := accept, accept
	header.Name, header.Style = "Accept", "header"
	query.Name, query.Style = "accept", "query"
	resource := func(name string, methods ...wadlMethod) wadlResource {
		return wadlResource{Path: "{" + name + "}", Param: &wadlParam{Name: name, Style: "template", Type: "xsd:string"}, Method: methods}
	}
	store := func(id string) wadlMethod {
		return wadlMethod{
			Name: http.MethodPost, ID: id,
			Request:  wadlRequest{Param: []wadlParam{header, query}, Representation: representations()},
			Response: []wadlResponse{{"200 202 400 408 409 413 500 503", module}, {"400 406 408 413 415 500 503", problem}},
		}
	}
	resources := []wadlResource{{Path: "studies", Method: []wadlMethod{store("StoreInstances")}, Resource: []wadlResource{resource("study", store("StoreStudyInstances"))}}}
	if commitment {
		resources = append(resources, wadlResource{Path: "commitment-requests", Resource: []wadlResource{resource("transactionUID",
			wadlMethod{
				Name: http.MethodPost, ID: "RequestStorageCommitment",
				Request:  wadlRequest{Param: []wadlParam{header}, Representation: module}, // §13.4.1.2: no Query Parameters
				Response: []wadlResponse{{"200", module}, {"400 406 408 413 415 500 503", problem}},
			},
			wadlMethod{Name: http.MethodGet, ID: "CheckStorageCommitmentResult", Response: []wadlResponse{{"400 404", problem}}},
		)}})
	}
	return wadlApplication{Resources: wadlResources{Base: base, Resource: resources}}
}

// representations are what a Store request may carry (PS3.18 Table 10.5.4-1).
func representations() []wadlRepresentation {
	var all []wadlRepresentation
	for _, mediaType := range []string{mediaTypeDICOM, storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML} {
		all = append(all, wadlRepresentation{`multipart/related; type="` + mediaType + `"`}, wadlRepresentation{mediaType})
	}
	return all
}

// Options serves the Retrieve Capabilities transaction (PS3.18 §8.9): WADL, or
// JSON where Accept prefers it.
func (h *Handler) Options(c echo.Context) error {
	if err := acceptHost(c.Request()); err != nil {
		return err
	}
	description := capabilities(base(c.Request()).ResolveReference(&url.URL{Path: "/"}).String(), h.Config.Commitment)
	allow := "OPTIONS, POST"
	if strings.HasPrefix(c.Path(), "/commitment-requests/") {
		allow = "GET, OPTIONS, POST"
	}
	c.Response().Header().Set("Allow", allow)
	if strings.Contains(strings.ToLower(c.Request().Header.Get("Accept")), "json") {
		body, err := json.Marshal(description)
		if err != nil {
			return fmt.Errorf("encode capabilities: %w", err)
		}
		return c.Blob(http.StatusOK, mediaTypeWADLJSON, body)
	}
	body, err := xml.MarshalIndent(description, "", "  ")
	if err != nil {
		return fmt.Errorf("encode capabilities: %w", err)
	}
	return c.Blob(http.StatusOK, mediaTypeWADL, append([]byte(xml.Header), body...))
}
