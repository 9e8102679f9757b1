using System.Buffers;
using Microsoft.AspNetCore.Http;
using Mooring.Configuration;

namespace Mooring.FrontDoor;

/// <summary>Reads a request body into one pooled buffer, within the limit.</summary>
internal static class BodyReader
{
    private const int MostAtFirst = 64 * 1024;

    /// <returns>The buffer and its length; length -1: too large.</returns>
    public static async ValueTask<(byte[] Buffer, int Length)> ReadAsync(HttpRequest request, long limit)
    {
        if (request.ContentLength > limit)
        {
            return ([], -1);
        }

        // No more than a little on the client's word: the rest when it is there.
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(request.ContentLength ?? 2048, MostAtFirst) + 1);
        var length = 0;
        try
        {
            while (true)
            {
                var result = await request.BodyReader.ReadAsync();
                var size = (int)Math.Min(int.MaxValue, result.Buffer.Length);
                if (length + (long)size > limit)
                {
                    request.BodyReader.AdvanceTo(result.Buffer.End);
                    ArrayPool<byte>.Shared.Return(buffer);
                    return ([], -1);
                }

                if (length + size > buffer.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(Math.Max(length + size, buffer.Length * 2));
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }

                result.Buffer.CopyTo(buffer.AsSpan(length));
                length += size;
                request.BodyReader.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    return (buffer, length);
                }
            }
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(buffer);
            throw;
        }
    }
}
