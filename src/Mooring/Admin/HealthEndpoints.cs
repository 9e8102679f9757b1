using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Mooring.Drain;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Admin;

/// <summary>Liveness, readiness and metrics. None depends on anything remote: a restart would not bring a server back.</summary>
/// <remarks>
/// A store that goes away later changes no status, since it goes away from all replicas at once: with none of them ready a balancer would refuse
/// even what each goes on doing from memory. It is said in words instead.
/// </remarks>
internal sealed class HealthEndpoints(Readiness readiness, IStore store, StreamTable streams, SessionTable sessions, PrometheusExporter metrics, TimeProvider time)
{
    /// <summary>Balancers ask with either.</summary>
    private static readonly string[] Methods = ["GET", "HEAD"];

    private readonly long _started = time.GetTimestamp();

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/health", Methods, context => WriteAsync(context, StatusCodes.Status200OK, "ok"));
        routes.MapMethods("/mcp/health", Methods, context => WriteAsync(context, StatusCodes.Status200OK, "healthy"));
        routes.MapMethods("/ready", Methods, context => readiness.IsReady
            ? WriteAsync(context, StatusCodes.Status200OK, "ready")
            : WriteAsync(context, StatusCodes.Status503ServiceUnavailable, readiness.IsDraining ? "draining" : "starting"));
        routes.MapGet("/metrics", context =>
        {
            context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
            return context.Response.WriteAsync(metrics.Scrape(), context.RequestAborted);
        });
    }

    private async Task WriteAsync(HttpContext context, int status, string word)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        if (HttpMethods.IsHead(context.Request.Method))
        {
            return;
        }

        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteBoolean("ok", status == StatusCodes.Status200OK);
        json.WriteString("status", word);
        json.WriteBoolean("draining", readiness.IsDraining);
        if (store.AwaySince is { } since)
        {
            json.WriteString("store", "away");
            json.WriteString("storeAwaySince", since.UtcDateTime);
        }
        else
        {
            json.WriteString("store", "ok");
        }

        json.WriteNumber("activeConnections", streams.Count);
        json.WriteNumber("sessions", sessions.Count);
        json.WriteNumber("uptime", Math.Round(time.GetElapsedTime(_started).TotalSeconds, 1));
        json.WriteString("version", MooringVersion.Current);
        json.WriteEndObject();
    }
}
