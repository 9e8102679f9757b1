using Microsoft.AspNetCore.Http;

namespace Mooring.FrontDoor;

/// <summary>The trace that a client's request belongs to (W3C Trace Context), as its headers say. Not looked into here: few listen.</summary>
internal static class TraceHeaders
{
    public static (string? Parent, string? State) Of(IHeaderDictionary headers) => (headers.TraceParent, headers.TraceState);
}
