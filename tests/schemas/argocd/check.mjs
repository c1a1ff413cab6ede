// Checks objects of Argo CD and Argo Workflows against their types. Standard input: a JSON list of them. Standard output: a JSON list, for each
// object a list of texts, empty where it is right. Argument: the folder that holds node_modules.
//
// The validators say what is missing or of the wrong type. They say nothing of a field that they do not know, which Argo CD
// would drop in silence (a typo), so each object is wrapped to note which fields they look at: the rest is unknown.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const MODELS = `${folder}/node_modules/@kubernetes-models`;
const WORKFLOWS = ["Workflow", "WorkflowTemplate", "CronWorkflow"];
// Free-form by definition: Helm's values.
const FREE = /\.helm\.valuesObject$/;
// A project's and a role's: the package's generator takes a field of this name for the schema's own text and leaves it out.
const LEFT_OUT = /^\.spec(\.roles\.\d+)?\.description$/;

// The package takes a template's container for a pod's, which has to have a name; the CRD does not.
const NAMELESS = /\/templates\/\d+\/container$/;

function watched(value, path, seen) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "symbol" || (Array.isArray(target) && !/^\d+$/.test(key))) return target[key];
      const here = `${path}.${key}`;
      seen.add(here);
      return watched(target[key], here, seen);
    },
  });
}

function* fields(value, path) {
  if (value === null || typeof value !== "object") return;
  for (const [key, below] of Object.entries(value)) {
    const here = `${path}.${key}`;
    yield here;
    if (!FREE.test(here)) yield* fields(below, here);
  }
}

async function problems(object) {
  let validate;
  try {
    const [project, name] = WORKFLOWS.includes(object.kind)
      ? ["argo-workflows", `ComGithubArgoprojArgoWorkflowsV4PkgApisWorkflowV1alpha1${object.kind}`]
      : ["argo-cd", `ComGithubArgoprojArgoCdV3PkgApisApplicationV1alpha1${object.kind}`];
    ({ validate } = await import(pathToFileURL(`${MODELS}/${project}/_schemas/${name}.js`)));
  } catch (error) {
    return [`.kind: ${object.kind} is no kind of Argo CD or Argo Workflows (${error.code})`];
  }
  const seen = new Set();
  if (!validate(watched(object, "", seen))) {
    const wrong = validate.errors.filter((e) => !(NAMELESS.test(e.instancePath) && e.params.missingProperty === "name"));
    if (wrong.length) return wrong.map((e) => `${e.instancePath.replaceAll("/", ".")}: ${e.message ?? e.keyword} ${JSON.stringify(e.params)}`);
  }
  const unknown = [...fields(object, "")].filter((field) => !seen.has(field) && !LEFT_OUT.test(field));
  return unknown
    .filter((field) => !unknown.some((above) => field.startsWith(`${above}.`)))
    .map((field) => `${field}: unknown field`);
}

const objects = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await Promise.all(objects.map(problems))));
