using System.Text.Json.Nodes;
using Embedding;
using Mooring;
using Mooring.Configuration;
using Mooring.Upstreams;

var builder = WebApplication.CreateBuilder(args);

// What the gateway serves. Listening, TLS and authentication are this application's own affair.
var config = new MooringConfig { Connectors = [new ConnectorConfig(GreetingConnector.ConnectorName, new JsonObject())] };

// Sessions outlive the process, so they need a place of their own on the disk.
var data = builder.Configuration["data"] ?? Path.Combine(builder.Environment.ContentRootPath, ".mooring");

builder.Services.AddSingleton<IConnector, GreetingConnector>();
builder.Services.AddMooring(config, data);

var app = builder.Build();
app.MapGet("/", () => "An application with an MCP gateway at /mcp.");
app.MapMooring();
await app.RunAsync();
