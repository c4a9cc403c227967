using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Reeve.Server.Egress;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval.Web;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Reads the bodies that make a document: JSON with a text or with the address of a web page, or a form with a file.
/// </summary>
internal static class DocumentUpload
{
    private const string FormType = "multipart/form-data";
    private const int BoundaryCharactersMax = 200;
    private const int FieldBytesMax = 64 * 1024;
    private const string NameOfNameless = "document";

    /// <summary>A page is fetched again at most each five minutes, and at least each 30 days.</summary>
    internal const int RefreshSecondsMin = 300;
    internal const int RefreshSecondsMax = 30 * 24 * 3_600;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    /// <summary>The bytes of a web page are still to be fetched.</summary>
    internal static async Task<NewDocument> ReadAsync(HttpContext context, long bytesMax, EgressOptions egress)
    {
        if (MediaTypeHeaderValue.TryParse(context.Request.ContentType, out var type)
            && type.MediaType.Equals(FormType, StringComparison.OrdinalIgnoreCase))
        {
            var bytes = await RequestBody.ReadBytesAsync(context, bytesMax);
            return await ReadFormAsync(type, bytes, context.RequestAborted);
        }

        using var body = await RequestBody.ReadAsync(context, bytesMax);
        return ReadJson(new RequestObject(body.RootElement), egress);
    }

    internal static PrivacyClass? PrivacyClassOf(RequestObject body) =>
        body.Word("privacy_class", PrivacyClasses.Words) is { } word ? PrivacyClasses.Parse(word) : null;

    private static NewDocument ReadJson(RequestObject body, EgressOptions egress)
    {
        if (body.Has("url"))
        {
            return ReadPage(body, egress);
        }

        var document = new NewDocument
        {
            Name = body.RequiredString("name", 1, Documents.NameCharactersMax),
            Bytes = Encoding.UTF8.GetBytes(body.RequiredString("text", 1, Documents.TextCharactersMax)),
            IsText = true,
            PrivacyClass = PrivacyClassOf(body),
            Metadata = body.Metadata("metadata"),
        };
        body.RejectUnknown();
        return document;
    }

    private static NewDocument ReadPage(RequestObject body, EgressOptions egress)
    {
        if (body.Has("text"))
        {
            throw ApiException.Invalid("A document has a text or a url; give one of them.", "url");
        }

        var document = new NewDocument
        {
            Name = body.String("name", 1, Documents.NameCharactersMax) ?? "",
            Bytes = default,
            Page = new WebPage(UrlOf(body, egress))
            {
                RefreshSeconds = (int?)body.Integer("refresh_seconds", RefreshSecondsMin, RefreshSecondsMax),
            },
            PrivacyClass = PrivacyClassOf(body),
            Metadata = body.Metadata("metadata"),
        };
        body.RejectUnknown();
        return document.PrivacyClass == Privacy.PrivacyClass.Confidential
            ? throw ApiException.Invalid(
                "What is confidential is not asked for by its address: upload the page's content.", "privacy_class")
            : document;
    }

    private static string UrlOf(RequestObject body, EgressOptions egress) =>
        EgressUrl.TryRead(body.RequiredString("url", 1, EgressUrl.LengthMax), egress, out var url, out var problem)
            ? url.AbsoluteUri
            : throw ApiException.Invalid($"url {problem}.", "url");

    private static async Task<NewDocument> ReadFormAsync(
        MediaTypeHeaderValue type, byte[] body, CancellationToken cancellationToken)
    {
        var boundary = HeaderUtilities.RemoveQuotes(type.Boundary).ToString();
        if (boundary.Length is 0 or > BoundaryCharactersMax)
        {
            throw ApiException.Invalid("The form has no usable boundary.", "Content-Type");
        }

        var form = new Form(body.Length);
        using var stream = new MemoryStream(body, writable: false);
        var reader = new MultipartReader(boundary, stream);
        try
        {
            while (await reader.ReadNextSectionAsync(cancellationToken) is { } section)
            {
                await form.TakeAsync(section, cancellationToken);
            }
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            throw ApiException.Invalid("The form is not well-formed multipart/form-data.", null);
        }

        return form.ToDocument();
    }

    private sealed class Form(int bytesMax)
    {
        private readonly Dictionary<string, string> _fields = new(StringComparer.Ordinal);
        private string? _fileName;
        private ReadOnlyMemory<byte>? _file;

        internal async Task TakeAsync(MultipartSection section, CancellationToken cancellationToken)
        {
            var field = ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition)
                ? HeaderUtilities.RemoveQuotes(disposition.Name).ToString()
                : "";
            if (field is not ("file" or "name" or "privacy_class" or "metadata"))
            {
                throw ApiException.Invalid(
                    "The form has a part that is none of file, name, privacy_class, metadata.", null);
            }

            if (field == "file" ? _file is not null : _fields.ContainsKey(field))
            {
                throw ApiException.Invalid($"{field} is given twice.", field);
            }

            // A file is written once: streams that grow would leave several times its size to be collected.
            using var content = new MemoryStream(field == "file" ? bytesMax : 0);
            await section.Body.CopyToAsync(content, cancellationToken);
            if (field == "file")
            {
                _file = content.GetBuffer().AsMemory(0, (int)content.Length);
                _fileName = FileNameOf(disposition!);
                return;
            }

            _fields[field] = content.Length <= FieldBytesMax
                ? TextOf(field, content.ToArray())
                : throw ApiException.Invalid($"{field} is too long.", field);
        }

        internal NewDocument ToDocument()
        {
            if (_file is not { Length: > 0 } file)
            {
                throw ApiException.Invalid(_file is null ? "file is required." : "The file is empty.", "file");
            }

            using var json = RequestBody.Parse(FieldsAsJson());
            var body = new RequestObject(json.RootElement);
            return new NewDocument
            {
                Name = body.RequiredString("name", 1, Documents.NameCharactersMax),
                Bytes = file,
                PrivacyClass = PrivacyClassOf(body),
                Metadata = body.Metadata("metadata"),
            };
        }

        // One way to check fields: those of a form become the members of an object.
        private byte[] FieldsAsJson()
        {
            using var buffer = new MemoryStream();
            using (var writer = new Utf8JsonWriter(buffer))
            {
                writer.WriteStartObject();
                writer.WriteString("name", _fields.GetValueOrDefault("name", _fileName ?? NameOfNameless));
                if (_fields.TryGetValue("privacy_class", out var privacyClass))
                {
                    writer.WriteString("privacy_class", privacyClass);
                }

                if (_fields.TryGetValue("metadata", out var metadata))
                {
                    writer.WritePropertyName("metadata");
                    MetadataOf(metadata).WriteTo(writer);
                }

                writer.WriteEndObject();
            }

            return buffer.ToArray();
        }

        private static JsonElement MetadataOf(string text)
        {
            try
            {
                using var parsed = RequestBody.Parse(Encoding.UTF8.GetBytes(text));
                return parsed.RootElement.Clone();
            }
            catch (ApiException)
            {
                throw ApiException.Invalid("metadata must be the text of a JSON object.", "metadata");
            }
        }

        private static string TextOf(string field, byte[] bytes)
        {
            try
            {
                var text = StrictUtf8.GetString(bytes);
                return text.Contains('\0', StringComparison.Ordinal)
                    ? throw ApiException.Invalid($"{field} has the character U+0000.", field)
                    : text;
            }
            catch (DecoderFallbackException)
            {
                throw ApiException.Invalid($"{field} is not valid UTF-8.", field);
            }
        }

        // Some clients send a whole path; what lies before the last separator is not the name.
        private static string? FileNameOf(ContentDispositionHeaderValue disposition)
        {
            var sent = disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName;
            var name = HeaderUtilities.RemoveQuotes(sent).ToString();
            name = name[(name.LastIndexOfAny(['/', '\\']) + 1)..];
            return name.Length == 0 || name.Contains('\0', StringComparison.Ordinal) ? null : name;
        }
    }
}
