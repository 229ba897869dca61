package client

import (
	"net/http"

	"stowrs-to-s3/app/storeresponse"
)

// remedy tells the user what to do about an outcome; empty if this is not known.
func (o Outcome) remedy() string {
	switch o.Reason {
	case storeresponse.ReasonProcessingFailure:
		return "give the command again later; the log of the service says what its storage answers"
	case storeresponse.ReasonOutOfResources:
		return "give the command again later; if it fails again, a limit of the service is too low for it"
	case storeresponse.ReasonDuplicateInstance:
		return "find out which of the two is right: the service keeps the one that it has"
	case storeresponse.ReasonInvalidInstance, storeresponse.ReasonMissingAttribute, storeresponse.ReasonMissingAttributeValue:
		return "the UIDs in the file have to be put right where it was made"
	case storeresponse.ReasonStudyMismatch:
		return "give --url without the study"
	case storeresponse.ReasonCannotUnderstand:
		return "get the file once more from where it was made"
	case 0x0122, 0xC122:
		return "ask who runs the service, or convert the file"
	case 0x0124:
		return "ask who runs the service"
	}
	return ""
}

// remedyOf tells the user what to do about a status that every request would get.
func remedyOf(code int) string {
	switch code {
	case http.StatusUnauthorized:
		return "; --token-file, --header or --cert say who sends"
	case http.StatusForbidden:
		return "; ask who runs the service to let this sender store"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "; is --url right? It is the part before /studies"
	case http.StatusProxyAuthRequired:
		return "; HTTPS_PROXY and HTTP_PROXY may hold a user and a password"
	}
	return ""
}
