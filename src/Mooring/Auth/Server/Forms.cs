using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace Mooring.Auth.Server;

/// <summary>Bodies of the authorization server's requests, which are all small.</summary>
internal static class Forms
{
    private const int Largest = 64 * 1024;

    /// <summary>The whole body; null where it is too large.</summary>
    public static async Task<byte[]?> BodyAsync(HttpContext context)
    {
        if (context.Request.ContentLength > Largest)
        {
            return null;
        }

        var buffer = new byte[Largest + 1];
        var length = 0;
        while (await context.Request.Body.ReadAsync(buffer.AsMemory(length), context.RequestAborted) is > 0 and var read)
        {
            length += read;
            if (length > Largest)
            {
                return null;
            }
        }

        return buffer[..length];
    }

    /// <summary>The fields of a form; null where it is none, or a name stands in it twice.</summary>
    public static async Task<Dictionary<string, string>?> ReadAsync(HttpContext context)
    {
        if (context.Request.ContentType?.StartsWith("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase) is not true || await BodyAsync(context) is not { } body)
        {
            return null;
        }

        try
        {
            var fields = new Dictionary<string, string>(StringComparer.Ordinal);
            using var reader = new FormReader(new MemoryStream(body));
            foreach (var (name, values) in await reader.ReadFormAsync(context.RequestAborted))
            {
                if (values is not [{ } value])
                {
                    return null;
                }

                fields[name] = value;
            }

            return fields;
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }
}
