using Microsoft.AspNetCore.Http;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Sessions;

namespace Mooring.FrontDoor;

/// <summary>What both transports check of messages before anything is done with them. Whoever gets no from here has nothing left to answer.</summary>
internal sealed class Intake(ConfigStore config, CallRate rate, AuditLog audit)
{
    /// <summary>The messages of a batch, none of which was looked at by anyone yet; null after answering why not.</summary>
    public async ValueTask<List<Frame>?> ReadBatchAsync(HttpContext context, Session session, ReadOnlyMemory<byte> json)
    {
        var limits = new FrameLimits(config.Current.Limits.JsonDepth);
        if (FrameReader.SplitBatch(json.Span, limits, config.Current.Limits.Batch, out var fault) is not { } slices)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, fault!.Value.Code, fault.Value.Message);
            return null;
        }

        if (!session.Version.HasBatches())
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, FrameReader.InvalidRequest, $"Protocol version {session.Version.ToWire()} has no batches.");
            return null;
        }

        var frames = new List<Frame>(slices.Count);
        foreach (var slice in slices)
        {
            var bytes = json.Span.Slice(slice.Start, slice.Length).ToArray();
            if (FrameReader.Take(bytes, bytes.Length, pooled: false, limits, out var bad) is not { } frame)
            {
                await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, bad!.Value.Code, $"Message {frames.Count + 1} of the batch: {bad.Value.Message}");
                return null;
            }

            if (frame.Method == McpMethod.Initialize)
            {
                await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, FrameReader.InvalidRequest, "initialize must not be part of a batch.");
                return null;
            }

            frames.Add(frame);
        }

        return await TakesAsync(context, session, frames.Count(f => f.Kind == FrameKind.Request), batch: frames) ? frames : null;
    }

    /// <summary>Whether a session's user may start so many more requests just now; false after answering that it may not.</summary>
    public async ValueTask<bool> TakesAsync(HttpContext context, Session session, int requests, Frame? only = null, IReadOnlyList<Frame>? batch = null)
    {
        if (await rate.TakeAsync(session.Principal, requests) is not { } reached)
        {
            return true;
        }

        foreach (var request in audit.IsOn ? batch ?? (only is null ? [] : [only]) : [])
        {
            if (request.Kind == FrameKind.Request && AuditedCall.IsNoted(request.Method))
            {
                new AuditedCall(audit, request, session.Audited(request, Caller.OriginOf(context))) { Server = session.Server }.End("rate_limited");
            }
        }

        context.Response.Headers.RetryAfter = reached.Seconds.ToString();
        await Answers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, JsonRpc.ServerError, reached.Why, only is null ? default : only.Id);
        return false;
    }
}
