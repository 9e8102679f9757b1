using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Mooring.Benchmarks.Load;

namespace Mooring.Benchmarks.Suite;

/// <summary>
/// What it costs to ask who comes in: the same call at a gateway that asks nobody, and at ones that are shown a key, an access token of the gateway's own
/// authorization server, or a token that another issuer signed; and what rules and the audit log add to that.
/// </summary>
internal sealed class AuthCase(SuiteOptions options, Candidates candidates, Report report)
{
    private const string Issuer = "https://issuer.bench.test";
    private const int Workers = 8;

    public async Task RunAsync(CancellationToken cancellation)
    {
        if (options.Gateway is null)
        {
            return;
        }

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await using var keys = await ServeKeysAsync(key);
        var at = new Uri(keys.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        await using var upstream = await candidates.UpstreamAsync(cancellation);
        await using var open = await candidates.GatewayAsync(upstream.Url, cancellation);
        var (asks, access) = await candidates.GatewayThatAsksAsync(upstream.Url, Issuer, at, rules: false, notes: false, cancellation);
        await using var first = asks;
        var (rules, _) = await candidates.GatewayThatAsksAsync(upstream.Url, Issuer, at, rules: true, notes: false, cancellation);
        await using var second = rules;
        var (notes, _) = await candidates.GatewayThatAsksAsync(upstream.Url, Issuer, at, rules: false, notes: true, cancellation);
        await using var third = notes;
        (string Name, ServerProcess Server, string? Token)[] ways =
        [
            ("nobody is asked", open, null), ("an API key", asks, asks.Token), ("an access token of its own", asks, access), ("a signed token", asks, Sign(key)),
            ("an API key, and policies", rules, rules.Token), ("an API key, and the audit log", notes, notes.Token),
        ];
        foreach (var (_, server, token) in ways)
        {
            await MeasureAsync(server, token, Math.Min(4, options.Seconds * 2), cancellation);
        }

        var results = ways.Select(_ => new List<LoadResult>()).ToList();
        for (var round = 0; round < options.CallRounds; round++)
        {
            var order = Enumerable.Range(0, ways.Length);
            foreach (var way in round % 2 == 0 ? order : order.Reverse())
            {
                results[way].Add(await MeasureAsync(ways[way].Server, ways[way].Token, options.CallSeconds, cancellation));
            }

            Report.Progress($"auth, {round + 1} of {options.CallRounds}: " + string.Join(" | ", results.Select(result => $"{result[^1].CallsPerSecond:F0}/s {result[^1].P50:F0} µs")));
        }

        for (var way = 1; way < ways.Length; way++)
        {
            report.AddFigure(
                $"p50 of a call, {Workers} workers: {ways[way].Name}", Cell(results[way]), $"{ways[0].Name} {Cell(results[0])}",
                $"{Medians.OfRatios(results[way], results[0], result => result.P50):F2}×, processor time {Medians.OfRatios(results[way], results[0], result => result.ProcessorMicrosPerCall ?? double.NaN):F2}×",
                way < ways.Length - 1 ? "≤ 1.1×" : "");
        }
    }

    private static string Cell(List<LoadResult> results) =>
        $"{Medians.Of(results.Select(result => result.P50)):F0} µs, {Medians.Of(results.Select(result => result.CallsPerSecond)):F0}/s";

    private static async Task<LoadResult> MeasureAsync(ServerProcess server, string? token, double seconds, CancellationToken cancellation)
    {
        var result = await LoadRun.RunAsync(new LoadOptions(server.Url, Workers, seconds, WarmUp: 0.3, "echo") { Token = token, Pid = server.Pid }, cancellation);
        return result.Errors == 0 ? result : throw new InvalidDataException($"{result.Errors} wrong answers from {server.Url}, the first: {result.FirstError}");
    }

    private static async Task<WebApplication> ServeKeysAsync(ECDsa key)
    {
        var at = key.ExportParameters(includePrivateParameters: false).Q;
        var set = $$"""{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256","use":"sig","x":"{{Base64Url.EncodeToString(at.X)}}","y":"{{Base64Url.EncodeToString(at.Y)}}"}]}""";
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.Run(async context =>
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(set);
        });
        await app.StartAsync();
        return app;
    }

    private static string Sign(ECDsa key)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var head = Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(new { alg = "ES256", kid = "1", typ = "at+jwt" }));
        var body = Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(new { iss = Issuer, sub = "bench", aud = Issuer, iat = now, exp = now + 3600, jti = "1", client_id = "bench" }));
        return $"{head}.{body}.{Base64Url.EncodeToString(key.SignData(System.Text.Encoding.ASCII.GetBytes($"{head}.{body}"), HashAlgorithmName.SHA256))}";
    }
}
