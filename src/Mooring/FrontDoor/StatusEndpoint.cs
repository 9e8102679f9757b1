using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Mooring.Auth;
using Mooring.Drain;
using Mooring.Protocol;
using Mooring.Sessions;

namespace Mooring.FrontDoor;

/// <summary><c>GET /mcp/status</c>, a path of earlier deployments: what this process holds for the caller, and nothing of anybody else's.</summary>
internal sealed class StatusEndpoint(Gate gate, Doorkeeper doorkeeper, SessionTable sessions, Readiness readiness, TimeProvider time)
{
    /// <summary>Enough to tell one's sessions apart, and no way into any of them.</summary>
    private const int IdPrefix = 8;

    public void Map(IEndpointRouteBuilder routes) => routes.MapGet("/mcp/status", AnswerAsync);

    private async Task AnswerAsync(HttpContext context)
    {
        if (gate.Check(context) is { } wrong)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status403Forbidden, wrong);
            return;
        }

        if (!await doorkeeper.EnterAsync(context, Scopes.Use, "/mcp"))
        {
            return;
        }

        var principal = Principal.Of(context);
        var mine = sessions.All.Where(s => s.Principal == principal && !s.IsEnded).OrderBy(s => s.Record.Created).ToList();
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        if (principal != Principal.Anonymous)
        {
            json.WriteString("user", principal.Subject);
        }

        json.WriteBoolean("draining", readiness.IsDraining);
        json.WriteNumber("connections", mine.Sum(s => s.Connections));
        json.WriteNumber("calls", mine.Sum(s => s.RunningCalls));
        json.WriteStartArray("sessions");
        foreach (var session in mine)
        {
            Write(json, session);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void Write(Utf8JsonWriter json, Session session)
    {
        var record = session.Record;
        json.WriteStartObject();
        json.WriteString("id", record.Id[..IdPrefix]);
        json.WriteString("server", record.Server);
        json.WriteString("transport", record.Transport);
        json.WriteString("protocolVersion", record.Version);
        var said = record.InitializeParams.Span;
        var name = JsonFields.Find(said, "clientInfo"u8, "name"u8);
        json.WriteString("client", name.IsPresent && said[name.Start] == '"' ? JsonText.Read(said.Slice(name.Start, name.Length)) : null);
        json.WriteString("created", record.Created.UtcDateTime);
        json.WriteNumber("idleSeconds", Math.Round(session.IdleFor(time.GetTimestamp()).TotalSeconds, 1));
        json.WriteNumber("connections", session.Connections);
        json.WriteNumber("calls", session.RunningCalls);
        json.WriteEndObject();
    }
}
