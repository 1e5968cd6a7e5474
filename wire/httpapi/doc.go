// Package httpapi is the HTTP door: requests and connections in, calls of the
// patterns out. One file for each pattern; the table of door.Route in routes.go
// is its routing and the source of its OpenAPI document.
package httpapi
