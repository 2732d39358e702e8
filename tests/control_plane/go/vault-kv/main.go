// Copyright (c) 2026 ranchhand contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Command vault-kv serves the KV secrets engine of Vault (version 2) at the path "secret", with Vault's own code for
// versions, check-and-set, deletions and errors. The tokens and the router are of the test: Vault itself is too large.
// It listens on a free port of the loopback interface, which it prints, and keeps everything in memory.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/sdk/logical"
)

const mount = "secret/"

type server struct {
	engine  logical.Backend
	storage logical.Storage
	writer  string
	reader  string
}

var operations = map[string]logical.Operation{
	http.MethodGet:    logical.ReadOperation,
	http.MethodPost:   logical.UpdateOperation,
	http.MethodPut:    logical.UpdateOperation,
	http.MethodPatch:  logical.PatchOperation,
	http.MethodDelete: logical.DeleteOperation,
	"LIST":            logical.ListOperation,
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("X-Vault-Token")
	operation := operations[r.Method]
	if token == "" || token != s.writer && (token != s.reader || operation != logical.ReadOperation) {
		logical.RespondError(w, http.StatusForbidden, logical.ErrPermissionDenied)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if !strings.HasPrefix(path, mount) {
		err := fmt.Errorf("no handler for route %q. route entry not found.", path)
		logical.RespondError(w, http.StatusNotFound, err)
		return
	}
	request := &logical.Request{Operation: operation, Path: strings.TrimPrefix(path, mount), Storage: s.storage}
	if r.ContentLength != 0 {
		if err := json.NewDecoder(r.Body).Decode(&request.Data); err != nil {
			logical.RespondError(w, http.StatusBadRequest, err)
			return
		}
	}
	if operation == logical.UpdateOperation {
		found, exists, err := s.engine.HandleExistenceCheck(r.Context(), request)
		if err == nil && found && !exists {
			request.Operation = logical.CreateOperation
		}
	}
	response, err := s.engine.HandleRequest(r.Context(), request)
	s.respond(w, request, response, err)
}

func (s *server) respond(w http.ResponseWriter, request *logical.Request, response *logical.Response, err error) {
	if status, problem := logical.RespondErrorCommon(request, response, err); problem != nil || status != 0 {
		logical.RespondError(w, status, problem)
		return
	}
	if response == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if body, ok := response.Data[logical.HTTPRawBody].(string); ok {
		w.WriteHeader(response.Data[logical.HTTPStatusCode].(int))
		fmt.Fprint(w, body)
		return
	}
	json.NewEncoder(w).Encode(logical.LogicalResponseToHTTPResponse(response))
}

func main() {
	storage := &logical.InmemStorage{}
	engine, err := kv.Factory(context.Background(), &logical.BackendConfig{
		StorageView: storage,
		Logger:      hclog.NewNullLogger(),
		System:      &logical.StaticSystemView{},
		BackendUUID: "test",
		Config:      map[string]string{"version": "2"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := engine.Initialize(context.Background(), &logical.InitializationRequest{Storage: storage}); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, &server{
		engine: engine, storage: storage, writer: os.Getenv("VAULT_KV_WRITER"), reader: os.Getenv("VAULT_KV_READER"),
	}))
}
