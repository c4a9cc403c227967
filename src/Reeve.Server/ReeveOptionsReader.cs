using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Reeve.Server.Egress;
using Reeve.Server.Http;
using Reeve.Server.Inference;

namespace Reeve.Server;

/// <summary>
/// The operator's configuration is wrong; the message is one sentence that names the key and what it allows.
/// </summary>
internal sealed class ReeveOptionsException(string message) : Exception(message);

/// <summary>
/// Reads the options: a flag beats the environment, that the file, that the default (docs/configuration.md). The
/// environment and the disk come in as functions.
/// </summary>
internal sealed class ReeveOptionsReader
{
    private const string DefaultFile = "./reeve.json";
    private const string DefaultUrl = "http://127.0.0.1:5080";
    private const string DefaultData = "./data";
    private const int TextMax = 4096;
    private const decimal UsdMax = 1_000_000;

    private static readonly string[] Flags = ["--urls", "--data", "--config"];

    private readonly Dictionary<string, string> _flags;
    private readonly Func<string, string?> _environment;
    private readonly Func<string, byte[]?> _readFile;

    private ReeveOptionsReader(string[] args, Func<string, string?> environment, Func<string, byte[]?> readFile)
    {
        _flags = ReadFlags(args);
        _environment = name => environment(name)?.Trim() is { Length: > 0 } value ? value : null;
        _readFile = readFile;
    }

    /// <param name="args">The flags of <c>reeve serve</c>.</param>
    /// <param name="environment">Looks a variable up; null when it is not set.</param>
    /// <param name="readFile">The bytes of a file; null when there is none.</param>
    /// <exception cref="ReeveOptionsException">Something in it is wrong.</exception>
    internal static ReeveOptions Read(
        string[] args, Func<string, string?> environment, Func<string, byte[]?> readFile) =>
        new ReeveOptionsReader(args, environment, readFile).Read();

    /// <summary>The options of this process.</summary>
    internal static ReeveOptions Read(string[] args) =>
        Read(args, Environment.GetEnvironmentVariable, path => File.Exists(path) ? File.ReadAllBytes(path) : null);

    private static Dictionary<string, string> ReadFlags(string[] args)
    {
        var flags = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < args.Length; i++)
        {
            var parts = args[i].Split('=', 2);
            if (!Flags.Contains(parts[0], StringComparer.Ordinal))
            {
                throw new ReeveOptionsException(
                    $"{parts[0]} is not an option of serve; there are {string.Join(", ", Flags)}.");
            }

            var value = parts.Length == 2 ? parts[1] : i + 1 < args.Length ? args[++i] : "";
            if (value.Length == 0)
            {
                throw new ReeveOptionsException($"{parts[0]} needs a value.");
            }

            if (!flags.TryAdd(parts[0], value))
            {
                throw new ReeveOptionsException($"{parts[0]} is given twice.");
            }
        }

        return flags;
    }

    private ReeveOptions Read()
    {
        var named = Given("--config", "REEVE_CONFIG");
        var path = named?.Value ?? DefaultFile;
        var bytes = Load(path);
        if (bytes is null)
        {
            return named is { } source
                ? throw new ReeveOptionsException($"{source.Key} names {path}, which does not exist.")
                : Build(new RequestObject(JsonElement.Parse("{}")));
        }

        var name = Path.GetFileName(path);
        try
        {
            using var document = RequestBody.Parse(bytes);
            return Build(new RequestObject(document.RootElement));
        }
        catch (ApiException error)
        {
            var message = error.Message.StartsWith("The body", StringComparison.Ordinal)
                ? string.Concat("the file", error.Message.AsSpan("The body".Length))
                : error.Message;
            throw new ReeveOptionsException($"{name}: {message}");
        }
    }

    private byte[]? Load(string path)
    {
        try
        {
            return _readFile(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ReeveOptionsException($"The configuration file {path} cannot be read: {error.Message}");
        }
    }

    private ReeveOptions Build(RequestObject file)
    {
        foreach (var section in (ReadOnlySpan<string>)["tools"])
        {
            if (file.Has(section))
            {
                throw file.Wrong(section, "is a section that this version does not support yet");
            }
        }

        var inference = new ProviderOptionsReader(_environment).Read(file.Object("inference"));
        var options = new ReeveOptions
        {
            Urls = Urls(file),
            DataFolder = Data(file),
            Inference = inference,
            Credits = Credits(file.Object("credits")),
            Limits = Limits(file.Object("limits")),
            Privacy = Privacy(file.Object("privacy")),
            Retrieval = Retrieval(file.Object("retrieval"), inference),
            Egress = Egress(file.Object("egress")),
            Webhooks = Webhooks(file.Object("webhooks")),
            LegacyChatSunset = Sunset(file),
        };
        file.RejectUnknown();
        return options;
    }

    private (string Key, string Value)? Given(string flag, string variable) =>
        _flags.TryGetValue(flag, out var value) ? (flag, value)
        : _environment(variable) is { } set ? (variable, set)
        : null;

    private string Urls(RequestObject file)
    {
        var inFile = file.String("urls", 1, TextMax);
        var (key, value) = Given("--urls", "REEVE_URLS") ?? ("urls", inFile ?? DefaultUrl);
        foreach (var url in value.Split(';'))
        {
            // Kestrel's wildcards for all addresses are no host names, but good here.
            var address = url.Trim().Replace("://*", "://any", StringComparison.Ordinal)
                .Replace("://+", "://any", StringComparison.Ordinal);
            if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")
                || uri.PathAndQuery != "/" || uri.UserInfo.Length > 0)
            {
                throw new ReeveOptionsException(
                    $"{key} must be http or https addresses without a path, separated by semicolons.");
            }
        }

        return value;
    }

    private string Data(RequestObject file)
    {
        var inFile = file.String("data", 1, TextMax);
        return Given("--data", "REEVE_DATA")?.Value ?? inFile ?? DefaultData;
    }

    private static CreditOptions Credits(RequestObject? section)
    {
        var options = new CreditOptions();
        if (section is null)
        {
            return options;
        }

        var credit = section.Integer("micro_usd_per_credit", 1, 1_000_000_000) ?? options.MicroUsdPerCredit;
        var rest = credit;
        while (rest % 2 == 0)
        {
            rest /= 2;
        }

        while (rest % 5 == 0)
        {
            rest /= 5;
        }

        return rest != 1
            ? throw section.Wrong("micro_usd_per_credit", "must be a product of twos and fives, such as 1000")
            : new CreditOptions
            {
                MicroUsdPerCredit = credit,
                MarginRate = section.Number("margin_rate", 0, 10, 6) ?? options.MarginRate,
                StartingBalanceUsd = section.Number("starting_balance_usd", 0, UsdMax, 6) ?? options.StartingBalanceUsd,
                RoundToMicroUsd = section.Integer("round_to_micro_usd", 1, 1_000_000) ?? options.RoundToMicroUsd,
                LowBalanceUsd = section.Number("low_balance_usd", 0, UsdMax, 6) ?? options.LowBalanceUsd,
            };
    }

    private static LimitOptions Limits(RequestObject? section)
    {
        const long Kibibyte = 1024;
        const long Gibibyte = 1L << 30;
        var options = new LimitOptions();
        var rates = section?.Object("requests_per_minute");
        return new LimitOptions
        {
            BodyBytesMax = section?.Integer("body_bytes_max", Kibibyte, Gibibyte) ?? options.BodyBytesMax,
            ChatBytesMax = section?.Integer("chat_bytes_max", Kibibyte, Gibibyte) ?? options.ChatBytesMax,
            ChatBytesOpenMax = section?.Integer("chat_bytes_open_max", Kibibyte, 1024 * Gibibyte)
                ?? options.ChatBytesOpenMax,
            UploadBytesMax = section?.Integer("upload_bytes_max", Kibibyte, Gibibyte) ?? options.UploadBytesMax,
            WaitingFilesMax = (int)(section?.Integer("waiting_files_max", 1, 1_000_000) ?? options.WaitingFilesMax),
            WaitingBytesMax = section?.Integer("waiting_bytes_max", Kibibyte, 1024 * Gibibyte)
                ?? options.WaitingBytesMax,
            RunsMax = (int)(section?.Integer("runs_max", 1, 1_000_000) ?? options.RunsMax),
            StreamsMax = (int)(section?.Integer("streams_max", 1, 1_000_000) ?? options.StreamsMax),
            ConnectionsMax = (int)(section?.Integer("connections_max", 1, 1_000_000) ?? options.ConnectionsMax),
            RequestLogDays = (int)(section?.Integer("request_log_days", 0, 366) ?? options.RequestLogDays),
            ChatDays = (int)(section?.Integer("chat_days", 0, 36_500) ?? options.ChatDays),
            FreeRequestsPerMinute = Rate("free", options.FreeRequestsPerMinute),
            StarterRequestsPerMinute = Rate("starter", options.StarterRequestsPerMinute),
            ProRequestsPerMinute = Rate("pro", options.ProRequestsPerMinute),
            EnterpriseRequestsPerMinute = Rate("enterprise", options.EnterpriseRequestsPerMinute),
        };

        int Rate(string plan, int otherwise) => (int)(rates?.Integer(plan, 1, 10_000_000) ?? otherwise);
    }

    private static PrivacyOptions Privacy(RequestObject? section)
    {
        const int PatternsMax = 50;
        const int KindMax = 32;
        const int PatternMax = 1_000;
        var patterns = new List<(string, Regex)>();
        foreach (var entry in section?.Objects("patterns", PatternsMax) ?? [])
        {
            var kind = entry.RequiredString("kind", 1, KindMax);
            if (!kind.All(char.IsAsciiLetterUpper))
            {
                throw entry.Wrong("kind", "must be capital letters, such as EMPLOYEE");
            }

            var pattern = entry.RequiredString("pattern", 1, PatternMax);
            try
            {
                patterns.Add((kind, new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant)));
            }
            catch (Exception error) when (error is ArgumentException or NotSupportedException)
            {
                throw entry.Wrong("pattern",
                    "must be a regular expression without backreferences and lookarounds, which take no linear time");
            }
        }

        return new PrivacyOptions { Patterns = patterns };
    }

    private static RetrievalOptions Retrieval(RequestObject? section, InferenceOptions inference)
    {
        const string Key = "embeddings";
        var options = new RetrievalOptions();
        var name = section?.String(Key, 1, TextMax);
        if (name is not null && !RetrievalOptions.IsFolder(name))
        {
            var id = inference.Tiers.GetValueOrDefault(name, name);
            var model = inference.Providers.SelectMany(static provider => provider.Models)
                .FirstOrDefault(one => one.Id == id)
                ?? throw section!.Wrong(Key, $"names {name}, which no provider has; a folder begins with / or ./");
            if (!model.MakesEmbeddings)
            {
                throw section!.Wrong(Key, $"names {name}, which is no model for embeddings");
            }
        }

        return new RetrievalOptions
        {
            Embeddings = name,
            VectorBytesMax = section?.Integer("vector_bytes_max", 1 << 20, 1L << 40) ?? options.VectorBytesMax,
        };
    }

    private static EgressOptions Egress(RequestObject? section)
    {
        const int TargetsMax = 100;
        var allowed = section?.Strings("allow", TargetsMax, 256) ?? [];
        var targets = new List<EgressTarget>();
        for (var i = 0; i < allowed.Count; i++)
        {
            targets.Add(EgressTarget.TryParse(allowed[i], out var target)
                ? target
                : throw section!.Wrong($"allow[{i}]", "must be host:port, such as intranet.example:443"));
        }

        return new EgressOptions { Allow = targets, AllowHttp = section?.Boolean("allow_http") ?? false };
    }

    private static WebhookOptions Webhooks(RequestObject? section)
    {
        const int RetriesMax = 20;
        const int Week = 7 * 24 * 3600;
        var options = new WebhookOptions();
        return new WebhookOptions
        {
            RetrySeconds = section?.Integers("retry_seconds", RetriesMax, 1, Week) is { } seconds
                ? [.. seconds.Select(static one => (int)one)]
                : options.RetrySeconds,
            PendingMax = (int)(section?.Integer("pending_max", 100, 1_000_000) ?? options.PendingMax),
        };
    }

    private static DateTimeOffset Sunset(RequestObject file)
    {
        const string Key = "legacy_chat_sunset";
        if (file.String(Key, 1, 64) is not { } text)
        {
            return new ReeveOptions().LegacyChatSunset;
        }

        return DateTimeOffset.TryParseExact(
            text, ["yyyy-MM-dd", "yyyy-MM-ddTHH:mm:ssK", "yyyy-MM-ddTHH:mm:ss.fffK"], CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var date)
            ? date
            : throw file.Wrong(Key, "must be a date such as 2027-06-30 or 2027-06-30T00:00:00Z");
    }
}
