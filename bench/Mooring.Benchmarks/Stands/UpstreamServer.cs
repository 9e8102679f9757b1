using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace Mooring.Benchmarks.Stands;

/// <summary>
/// The fast MCP server behind everything measured: Streamable HTTP of 2025-11-25, far cheaper than any gateway.
/// It mints session ids but does not check them: the gateway's checks are measured, not the server's. On <see cref="StatelessPath"/> the same
/// server is one of 2026-07-28, as fast as the other.
/// </summary>
internal static class UpstreamServer
{
    public const string StatelessPath = "/stateless";

    private const int FloodBytes = 8 << 20;

    public static Task<int> RunAsync(int port) => BareKestrel.RunAsync(port, HandleAsync);

    private static Task HandleAsync(HttpContext context)
    {
        if (HttpMethods.IsPost(context.Request.Method))
        {
            return PostAsync(context);
        }

        context.Response.StatusCode = HttpMethods.IsDelete(context.Request.Method) ? 200 : 405;
        return Task.CompletedTask;
    }

    private static async Task PostAsync(HttpContext context)
    {
        var reader = context.Request.BodyReader;
        ReadResult read;
        while (!(read = await reader.ReadAsync(context.RequestAborted)).IsCompleted)
        {
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }

        var flood = Answer(context, read.Buffer.IsSingleSegment ? read.Buffer.FirstSpan : read.Buffer.ToArray());
        reader.AdvanceTo(read.Buffer.End);
        if (flood)
        {
            await FloodAsync(context.Response.BodyWriter, context.RequestAborted);
        }

        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>Writes the answer; true if it is the flood, which is never answered because nobody reads that far.</summary>
    private static bool Answer(HttpContext context, ReadOnlySpan<byte> message)
    {
        var envelope = Answers.Read(message);
        var response = context.Response;
        var isStateless = context.Request.Path.Value == StatelessPath;
        if (envelope.Id.IsEmpty)
        {
            response.StatusCode = 202;
            response.ContentLength = 0;
            return false;
        }

        Span<byte> answer = stackalloc byte[2048];
        if (envelope.Method.SequenceEqual("tools/call"u8))
        {
            var text = Answers.Text(message, "\"text\":"u8);
            var tool = Answers.Text(message, "\"name\":"u8);
            if (tool.SequenceEqual("echo"u8))
            {
                Json(response, answer[..Answers.Echo(answer, envelope.Id, text, isStateless)]);
                return false;
            }

            response.ContentType = "text/event-stream";
            if (tool.SequenceEqual("flood"u8))
            {
                return true;
            }

            var length = Answers.Put(answer, 0, "event: message\ndata: "u8);
            length += Answers.Echo(answer[length..], envelope.Id, text, isStateless);
            length = Answers.Put(answer, length, "\n\n"u8);
            response.BodyWriter.Write(answer[..length]);
            return false;
        }

        if (isStateless && envelope.Method.SequenceEqual("server/discover"u8))
        {
            Json(response, answer[..Answers.Result(answer, envelope.Id, Answers.Discover)]);
        }
        else if (!isStateless && envelope.Method.SequenceEqual("initialize"u8))
        {
            response.Headers["Mcp-Session-Id"] = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
            Json(response, answer[..Answers.Result(answer, envelope.Id, Answers.Initialize)]);
        }
        else if (envelope.Method.SequenceEqual("tools/list"u8))
        {
            Json(response, answer[..Answers.Result(answer, envelope.Id, Answers.Tools)]);
        }
        else if (envelope.Method.SequenceEqual("ping"u8))
        {
            Json(response, answer[..Answers.Result(answer, envelope.Id, "{}"u8)]);
        }
        else
        {
            Json(response, answer[..Answers.MethodNotFound(answer, envelope.Id)]);
        }

        return false;
    }

    private static void Json(HttpResponse response, ReadOnlySpan<byte> body)
    {
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        response.BodyWriter.Write(body);
    }

    /// <summary>More log notifications than any buffer on the way holds, so that a reader who stalls is really felt.</summary>
    private static async Task FloodAsync(PipeWriter writer, CancellationToken cancellation)
    {
        var filler = new string('x', 1024);
        var notification = System.Text.Encoding.UTF8.GetBytes(
            $$$"""
            event: message
            data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"emergency","data":"{{{filler}}}"}}


            """);
        for (var sent = 0; sent < FloodBytes; sent += notification.Length)
        {
            await writer.WriteAsync(notification, cancellation);
        }
    }
}
