// STS and ECR as far as consign uses them, in front of a docker-registry. Every signature is made again by AWS's own
// JavaScript SDK and compared. Prints {"api", "registry", "storage"} with the URLs, then serves until it is killed.
//
//   node fake_aws.mjs '{"upstream": "127.0.0.1:PORT", "keys": {"AKID": "secret"}, "roles": {ARN: "what it may pull"}}'
//
// The data plane behaves as ECR's is known to: Basic with a token, 404 for a repository that nobody created, layers by
// a redirect to a storage service that refuses whoever brings a credential.
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import http from "node:http";
import { SignatureV4 } from "@smithy/signature-v4";

const options = JSON.parse(process.argv[2]);
const REGION = "eu-central-1";
const ACCOUNT = "123456789012";
const identities = new Map(); // access key → {secret, token?, name, policy?, expires?}
const logins = new Map(); // password → {name, policy?, expires}
const repositories = new Map(); // name → description
const requests = []; // what was asked, for the test
const layers = new Map(); // key of a redirect → path at the data plane

for (const [key, secret] of Object.entries(options.keys)) identities.set(key, { secret, name: key });

class Sha256 {
  constructor(secret) {
    this.hash = secret ? createHmac("sha256", secret) : createHash("sha256");
  }
  update(data) {
    this.hash.update(data);
  }
  async digest() {
    return new Uint8Array(this.hash.digest());
  }
}

class Refused extends Error {
  constructor(type, message, status = 400) {
    super(message);
    Object.assign(this, { type, status });
  }
}

function read(request) {
  return new Promise((resolve, reject) => {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => resolve(Buffer.concat(pieces)));
    request.on("error", reject);
  });
}

/** The identity that signed the request; Refused when the SDK signs it differently. */
async function identify(request, body, service) {
  const said = request.headers.authorization ?? "";
  const parts = said.match(/^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/);
  if (!parts) throw new Refused("MissingAuthenticationToken", "Missing Authentication Token", 403);
  const [, key, , region, named, signed] = parts;
  const identity = identities.get(key);
  if (!identity) throw new Refused("UnrecognizedClientException", "The security token included in the request is invalid.");
  if (region !== REGION || named !== service) throw new Refused("InvalidSignatureException", `Credential should be scoped to ${REGION}/${service}`);
  const stamp = request.headers["x-amz-date"] ?? "";
  const at = new Date(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!(Math.abs(Date.now() - at) < 5 * 60 * 1000)) throw new Refused("InvalidSignatureException", "Signature expired");
  if ((identity.token ?? undefined) !== request.headers["x-amz-security-token"])
    throw new Refused("InvalidClientTokenId", "The security token included in the request is invalid", 403);
  if (identity.expires && identity.expires < Date.now()) throw new Refused("ExpiredTokenException", "The security token included in the request is expired");
  // What was signed, and only that: the SDK adds its own date and token again.
  const headers = {};
  for (const name of signed.split(";")) if (name !== "x-amz-date" && name !== "x-amz-security-token") headers[name] = request.headers[name];
  for (const needed of ["host", "x-amz-date"]) if (!signed.split(";").includes(needed)) throw new Refused("InvalidSignatureException", `${needed} is not signed`);
  const url = new URL(request.url, "http://unused");
  const signer = new SignatureV4({
    service,
    region: REGION,
    sha256: Sha256,
    applyChecksum: false,
    credentials: { accessKeyId: key, secretAccessKey: identity.secret, sessionToken: identity.token },
  });
  const again = await signer.sign(
    {
      method: request.method, protocol: "http:", hostname: "unused", path: url.pathname,
      query: Object.fromEntries(url.searchParams), headers, body,
      clone() { return { ...this, headers: { ...this.headers }, query: { ...this.query } }; },
    },
    { signingDate: at },
  );
  const [mine, theirs] = [again.headers.authorization, said].map((text) => Buffer.from(text.slice(text.indexOf("SignedHeaders="))));
  if (mine.length !== theirs.length || !timingSafeEqual(mine, theirs))
    throw new Refused(service === "sts" ? "SignatureDoesNotMatch" : "InvalidSignatureException",
      "The request signature we calculated does not match the signature you provided.", service === "sts" ? 403 : 400);
  return identity;
}

// What IAM would say: the session policy, if there is one, must allow it.
function allowed(policy, action, resource) {
  if (!policy) return true;
  const list = (value) => (Array.isArray(value) ? value : [value]);
  return policy.Statement.some((statement) => statement.Effect === "Allow" && list(statement.Action).includes(action) &&
    list(statement.Resource).some((one) => one === "*" || one === resource));
}
const arn = (repository) => `arn:aws:ecr:${REGION}:${ACCOUNT}:repository/${repository}`;

function credentialsXml(action, session) {
  return `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>
    <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>${session.name}</Arn></AssumedRoleUser>
    <Credentials><AccessKeyId>${session.key}</AccessKeyId><SecretAccessKey>${session.secret}</SecretAccessKey>
    <SessionToken>${session.token}</SessionToken><Expiration>${new Date(session.expires).toISOString()}</Expiration></Credentials>
    </${action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${action}Response>`;
}

function makeSession(form) {
  const role = form.get("RoleArn");
  if (!(role in options.roles)) throw new Refused("AccessDenied", `not authorized to perform: sts:AssumeRole on resource: ${role}`, 403);
  const seconds = Number(form.get("DurationSeconds"));
  if (!(seconds >= 900 && seconds <= 43200)) throw new Refused("ValidationError", "durationSeconds must be between 900 and 43200");
  if (!/^[\w+=,.@-]{2,64}$/.test(form.get("RoleSessionName") ?? "")) throw new Refused("ValidationError", "roleSessionName");
  const session = {
    key: "ASIA" + randomBytes(8).toString("hex").toUpperCase(), secret: randomBytes(24).toString("base64"),
    token: randomBytes(90).toString("base64"), expires: Date.now() + seconds * 1000,
    name: `${role}/${form.get("RoleSessionName")}`, policy: form.has("Policy") ? JSON.parse(form.get("Policy")) : undefined,
  };
  identities.set(session.key, session);
  return session;
}

async function sts(request, body, seen) {
  const form = new URLSearchParams(body.toString());
  seen.action = form.get("Action");
  seen.duration = Number(form.get("DurationSeconds"));
  if (form.get("Version") !== "2011-06-15") throw new Refused("InvalidAction", "wrong version");
  if (seen.action === "AssumeRole") {
    seen.identity = (await identify(request, body, "sts")).name;
    const session = makeSession(form);
    seen.policy = session.policy;
    return [200, "text/xml", credentialsXml("AssumeRole", session)];
  }
  if (seen.action === "AssumeRoleWithWebIdentity") {
    if (request.headers.authorization) throw new Refused("InvalidAction", "this is not signed");
    if (form.get("WebIdentityToken") !== options.web_identity) throw new Refused("InvalidIdentityToken", "who is that", 400);
    return [200, "text/xml", credentialsXml("AssumeRoleWithWebIdentity", makeSession(form))];
  }
  throw new Refused("InvalidAction", "no such action");
}

async function ecr(request, body, seen) {
  seen.action = (request.headers["x-amz-target"] ?? "").split(".")[1];
  const identity = await identify(request, body, "ecr");
  seen.identity = identity.name;
  const asked = JSON.parse(body.toString());
  if (request.headers["content-type"] !== "application/x-amz-json-1.1") throw new Refused("SerializationException", "content type");
  const named = asked.repositoryName ?? asked.repositoryNames?.[0];
  if (!allowed(identity.policy, `ecr:${seen.action}`, named ? arn(named) : "*"))
    throw new Refused("AccessDeniedException", `User: ${identity.name} is not authorized to perform: ecr:${seen.action}`);
  const json = (value) => [200, "application/x-amz-json-1.1", JSON.stringify(value)];
  switch (seen.action) {
    case "GetAuthorizationToken": {
      const password = randomBytes(60).toString("base64");
      const expires = identity.expires ?? Date.now() + 12 * 3600 * 1000;
      logins.set(password, { name: identity.name, policy: identity.policy, expires });
      return json({ authorizationData: [{ authorizationToken: Buffer.from(`AWS:${password}`).toString("base64"),
        expiresAt: (Date.now() + 12 * 3600 * 1000) / 1000, proxyEndpoint: urls.registry }] });
    }
    case "CreateRepository": {
      if (repositories.has(named)) throw new Refused("RepositoryAlreadyExistsException", `The repository with name '${named}' already exists`);
      if (!/^[a-z0-9]+([._/-][a-z0-9]+)*$/.test(named)) throw new Refused("InvalidParameterException", "repositoryName");
      repositories.set(named, { repositoryName: named, repositoryArn: arn(named), registryId: ACCOUNT, repositoryUri: `${ACCOUNT}.example/${named}`,
        imageTagMutability: asked.imageTagMutability, imageScanningConfiguration: asked.imageScanningConfiguration });
      seen.created = repositories.get(named);
      return json({ repository: repositories.get(named) });
    }
    case "DescribeRepositories":
      if (!repositories.has(named)) throw new Refused("RepositoryNotFoundException", `The repository with name '${named}' does not exist`);
      return json({ repositories: [repositories.get(named)] });
  }
  throw new Refused("UnknownOperationException", "");
}

const api = http.createServer(async (request, response) => {
  const seen = { service: request.url.startsWith("/sts") ? "sts" : "ecr" };
  const body = await read(request);
  if (request.url === "/_seen") return response.end(JSON.stringify(requests));
  if (request.url.startsWith("/_remove/")) return response.end(String(repositories.delete(request.url.slice(9))));
  let [status, type, text] = [500, "text/plain", ""];
  try {
    [status, type, text] = await (seen.service === "sts" ? sts : ecr)(request, body, seen);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    status = error.status;
    if (seen.service === "sts") {
      type = "text/xml";
      text = `<ErrorResponse><Error><Type>Sender</Type><Code>${error.type}</Code><Message>${error.message}</Message></Error></ErrorResponse>`;
    } else {
      type = "application/x-amz-json-1.1";
      text = JSON.stringify({ __type: error.type, message: error.message });
    }
    seen.refused = error.type;
  }
  requests.push({ ...seen, status });
  response.writeHead(status, { "Content-Type": type });
  response.end(text);
});

// The data plane.

function oci(response, status, code, message, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

function forward(request, response, path, headers) {
  const [hostname, port] = options.upstream.split(":");
  const up = http.request({ hostname, port, method: request.method, path, headers }, (answer) => {
    const down = { ...answer.headers };
    // docker-registry makes its locations of the Host that it sees, which is ours.
    response.writeHead(answer.statusCode, down);
    answer.pipe(response);
  });
  up.on("error", () => response.destroy());
  request.pipe(up);
}

const registry = http.createServer((request, response) => {
  const challenge = { "WWW-Authenticate": `Basic realm="${urls.registry}/",service="ecr.amazonaws.com"` };
  const [, basic] = (request.headers.authorization ?? "").match(/^Basic (.+)$/) ?? [];
  const decoded = Buffer.from(basic ?? "", "base64").toString();
  const login = decoded.startsWith("AWS:") ? logins.get(decoded.slice(4)) : undefined;
  if (!login) { request.resume(); return oci(response, 401, "UNAUTHORIZED", "Not Authorized", challenge); }
  if (login.expires < Date.now()) { request.resume(); return oci(response, 403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."); }
  const url = new URL(request.url, urls.registry);
  const [, name, kind, rest] = url.pathname.match(/^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.*)$/) ?? [];
  const seen = { service: "registry", method: request.method, path: url.pathname, identity: login.name };
  requests.push(seen);
  response.on("finish", () => { seen.status = response.statusCode; });
  if (name) {
    if (!repositories.has(name)) { request.resume(); return oci(response, 404, "NAME_UNKNOWN", `The repository with name '${name}' does not exist in the registry with id '${ACCOUNT}'`); }
    const reads = request.method === "GET" || request.method === "HEAD";
    const action = !reads ? "ecr:PutImage" : kind === "blobs" ? "ecr:GetDownloadUrlForLayer" : "ecr:BatchGetImage";
    if (!allowed(login.policy, action, arn(name))) { request.resume(); return oci(response, 403, "DENIED", `User: ${login.name} is not authorized to perform: ${action}`); }
    if (kind === "blobs" && request.method === "GET" && rest.startsWith("sha256:")) {
      const key = randomBytes(16).toString("hex");
      layers.set(key, url.pathname);
      response.writeHead(307, { Location: `${urls.storage}/${key}?X-Amz-Signature=x` });
      return response.end();
    }
  }
  const { authorization, ...headers } = request.headers;
  forward(request, response, request.url, headers);
});

const storage = http.createServer((request, response) => {
  const path = layers.get(request.url.slice(1).split("?")[0]);
  requests.push({ service: "storage", authorization: request.headers.authorization !== undefined });
  if (!path || request.headers.authorization) {
    response.writeHead(400);
    return response.end("<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>");
  }
  const { range } = request.headers;
  forward(request, response, path, { host: options.upstream, ...(range ? { range } : {}) });
});

const urls = {};
for (const [name, server] of Object.entries({ api, registry, storage })) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  urls[name] = `http://127.0.0.1:${server.address().port}`;
}
console.log(JSON.stringify(urls));
