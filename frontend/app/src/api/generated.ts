// Written by build/client.js from docs/openapi.json. Change the API, not this file.

export type AccountView = {
  id: string;
  email: string;
  name: string;
  /** A platform admin. */
  admin: boolean;
  disabled: boolean;
  created: number;
  updated: number;
};

export type ArtifactView = {
  /** The logical id, or `site`. */
  name: string;
  /** `function`, `layer` or `site`. */
  kind: string;
  sha256: string;
  length: number;
};

export type BindTarget = {
  /** The target's name; `default` for the platform's own account. */
  target: string;
};

export type BranchView = {
  name: string;
  /** 40 hex digits. */
  commit: string;
  default: boolean;
  /** Only maintainers move it. */
  protected: boolean;
};

export type ChangeBody = {
  path: string;
  content?: string | null;
  content_base64?: string | null;
  executable?: boolean | null;
  action: "put";
} | {
  path: string;
  action: "delete";
} | {
  from: string;
  to: string;
  action: "move";
};

export type CommitView = {
  /** 40 hex digits. */
  id: string;
  tree: string;
  parents: string[];
  author: SignatureView;
  committer: SignatureView;
  message: string;
};

export type CreateAccount = {
  email: string;
  name: string;
  password: string;
  admin?: boolean;
};

export type CreateBranch = {
  name: string;
  /** The branch, tag or commit to start at; the default branch when absent. */
  from?: string | null;
};

export type CreateBuild = {
  /** A branch, tag or commit; the default branch when absent. */
  ref?: string | null;
};

export type CreateCommit = {
  branch: string;
  /** The commit that you saw at the branch; absent only when the branch is new. */
  expected_head?: string | null;
  message: string;
  /** Paths of your drafts on the branch. */
  drafts?: string[];
  /** Applied after the drafts, in order. */
  changes?: ChangeBody[];
};

export type CreateProject = {
  /** 2 to 40 of a-z, 0-9 and -; part of the addresses of the project's sites, and never changed. */
  slug: string;
  name: string;
  description?: string | null;
  /** A name from `/starters`; the repository is empty when absent. */
  starter?: string | null;
  /** `main` when absent. */
  default_branch?: string | null;
};

export type CreateSession = {
  email: string;
  password: string;
};

export type CreateTarget = {
  name: string;
  role_arn: string;
  region: string;
  permissions_boundary: string;
  bucket: string;
  /** Slugs or ids; all projects when empty. */
  projects?: string[];
  environments?: string[];
  resource_types?: string[];
  managed_policies?: string[];
  layers?: string[];
};

export type CreateToken = {
  name: string;
  /** `read`, `write`, `deploy`, `admin`. */
  scopes: string[];
  /** The slug or id of the one project that it is good for; all of yours when absent. */
  project?: string | null;
  /** When it ends; in 90 days when absent, in a year at most. */
  expires?: number | null;
};

export type CreateUpload = {
  /** Where it is shown in the files area. */
  path: string;
  /** Bytes. */
  length: number;
  content_type: string;
  /** 64 hex digits. */
  sha256: string;
};

export type CredentialsView = {
  access_key_id: string;
  secret_access_key: string;
  session_token?: string | null;
  expires: number;
  region: string;
  /** Where the keys are good; AWS's own endpoints when absent. */
  endpoint?: string | null;
};

export type DiffView = {
  files: FileDiffView[];
  /** There are more files than are listed. */
  truncated: boolean;
};

export type DraftView = {
  branch: string;
  path: string;
  /** Bytes. */
  length: number;
  sha256: string;
  executable: boolean;
  /** As in the `ETag` header, without quotes. */
  etag: string;
  created: number;
  updated: number;
};

export type EnvironmentView = {
  name: string;
  /** The release that serves now. */
  release?: string | null;
  commit?: string | null;
  /** Where the site answers. */
  url?: string | null;
  outputs: Record<string, string>;
  unsupported: UnsupportedView[];
  /** The newest job that deploys or removes it. */
  job?: string | null;
  /** Only maintainers deploy to it. */
  protected: boolean;
  /** The target that it is deployed to; `default` for the platform's own account. */
  target: string;
  updated: number;
};

export type EventView = {
  id: string;
  /** `git.pushed`, `job.updated`, … */
  type: string;
  source: string;
  time: number;
  project: string;
  /** The id of the account that set it off. */
  actor: string;
  resource: string;
  correlation_id: string;
  idempotency_token?: string | null;
  /** Counts up by one within the project. */
  sequence: number;
  detail: Record<string, unknown>;
};

export type EventsView = {
  items: EventView[];
  /** The last sequence shown, or `after`: read on from here. */
  next: number;
};

export type FileDiffView = {
  old_path?: string | null;
  new_path?: string | null;
  /** `added`, `deleted`, `modified`, `renamed`, `copied` or `type_changed`. */
  status: string;
  additions: number;
  deletions: number;
  binary: boolean;
  /** Unified text; absent when the file is binary or the patch too long. */
  patch?: string | null;
};

export type FunctionView = {
  /** The logical id. */
  id: string;
  /** The physical name. */
  name: string;
  runtime: string;
  handler: string;
  memory_mb: number;
  timeout_s: number;
  log_group: string;
  /** What serves it, when that is not exactly what the template asks for. */
  note?: string | null;
};

export type FunctionsView = {
  items: FunctionView[];
};

export type Health = {
  /** Always `ok`: an answer is the proof. */
  status: string;
};

export type InvocationView = {
  /** What the function returned, or its error object. */
  result: Record<string, unknown>;
  /** `Unhandled` when the function failed. */
  function_error?: string | null;
  /** The end of the log of this invocation, at most 4 KB. */
  log_tail: string;
  report?: RequestView | null;
};

/** The event: given here, or a file of the repository. */
export type InvokeFunction = {
  event?: Record<string, unknown> | null;
  /** For example `events/hello.json`. */
  event_path?: string | null;
  /** The branch, tag or commit to read `event_path` from; the default branch when absent. */
  ref?: string | null;
};

export type JobView = {
  id: string;
  /** The project's id. */
  project: string;
  /** `build`, `deploy`, `remove` or `purge`. */
  kind: string;
  /** `queued`, `running`, then one of `succeeded`, `failed`, `cancelled`, `timed_out` for ever. */
  state: string;
  /** Which worker is at it, counted from 1; 0 while queued. */
  attempt: number;
  environment?: string | null;
  /** The id of the account that asked for it. */
  requested_by: string;
  ref?: string | null;
  commit?: string | null;
  progress: ProgressView;
  /** What came out; `null` before the end. */
  result: Record<string, unknown>;
  error?: string | null;
  cancel_requested: boolean;
  created: number;
  started?: number | null;
  finished?: number | null;
};

export type LineView = {
  id: string;
  at: number;
  /** The instance that wrote it, or the job. */
  stream: string;
  message: string;
  /** `output`, `init_start`, `start`, `end` or `report`. */
  kind: string;
  request_id?: string | null;
};

export type LogView = {
  lines: LineView[];
  /** Figures of the requests whose REPORT is among the lines. */
  requests: RequestView[];
  /** Pass as `cursor` to read on; a log has no last page. */
  next: string;
};

export type MemberView = {
  /** The account's id. */
  account: string;
  email: string;
  name: string;
  role: string;
  since: number;
};

export type NewTokenView = TokenView & {
  /** The secret. It is shown this once. */
  token: string;
};

/** One page of a list. */
export type PageViewAccountView = {
  items: {
    id: string;
    email: string;
    name: string;
    /** A platform admin. */
    admin: boolean;
    disabled: boolean;
    created: number;
    updated: number;
  }[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewBranchView = {
  items: {
    name: string;
    /** 40 hex digits. */
    commit: string;
    default: boolean;
    /** Only maintainers move it. */
    protected: boolean;
  }[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewCommitView = {
  items: {
    /** 40 hex digits. */
    id: string;
    tree: string;
    parents: string[];
    author: SignatureView;
    committer: SignatureView;
    message: string;
  }[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewDraftView = {
  items: {
    branch: string;
    path: string;
    /** Bytes. */
    length: number;
    sha256: string;
    executable: boolean;
    /** As in the `ETag` header, without quotes. */
    etag: string;
    created: number;
    updated: number;
  }[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewEntryView = {
  items: ({
    name: string;
    /** `file`, `folder`, `symlink` or `submodule`. */
    kind: string;
    /** As git stores it, in octal. */
    mode: string;
    oid: string;
    /** Bytes; of files and symlinks. */
    size?: number | null;
  })[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewEnvironmentView = {
  items: ({
    name: string;
    /** The release that serves now. */
    release?: string | null;
    commit?: string | null;
    /** Where the site answers. */
    url?: string | null;
    outputs: Record<string, string>;
    unsupported: UnsupportedView[];
    /** The newest job that deploys or removes it. */
    job?: string | null;
    /** Only maintainers deploy to it. */
    protected: boolean;
    /** The target that it is deployed to; `default` for the platform's own account. */
    target: string;
    updated: number;
  })[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewJobView = {
  items: ({
    id: string;
    /** The project's id. */
    project: string;
    /** `build`, `deploy`, `remove` or `purge`. */
    kind: string;
    /** `queued`, `running`, then one of `succeeded`, `failed`, `cancelled`, `timed_out` for ever. */
    state: string;
    /** Which worker is at it, counted from 1; 0 while queued. */
    attempt: number;
    environment?: string | null;
    /** The id of the account that asked for it. */
    requested_by: string;
    ref?: string | null;
    commit?: string | null;
    progress: ProgressView;
    /** What came out; `null` before the end. */
    result: Record<string, unknown>;
    error?: string | null;
    cancel_requested: boolean;
    created: number;
    started?: number | null;
    finished?: number | null;
  })[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewMemberView = {
  items: {
    /** The account's id. */
    account: string;
    email: string;
    name: string;
    role: string;
    since: number;
  }[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewProjectView = {
  items: ({
    id: string;
    slug: string;
    name: string;
    description: string;
    default_branch: string;
    protected_branches: string[];
    protected_environments: string[];
    created: number;
    /** The id of the account that created it. */
    created_by: string;
    /** Clone from here, below the platform's address. */
    git_path: string;
    /** In lists: the caller's role. */
    role?: string | null;
  })[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewReleaseView = {
  items: {
    id: string;
    commit: string;
    /** The job that built it. */
    build: string;
    artifacts: ArtifactView[];
    parameters_version: number;
    created: number;
    created_by: string;
  }[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewStoredFileView = {
  items: {
    id: string;
    path: string;
    length: number;
    content_type: string;
    sha256: string;
    created: number;
    created_by: string;
  }[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewTargetView = {
  items: {
    name: string;
    /** The role that is assumed for a deploy. */
    role_arn: string;
    /** The trust policy of the role must ask for this (`sts:ExternalId`). */
    external_id: string;
    region: string;
    /** The managed policy that bounds every role of a deployed app. */
    permissions_boundary: string;
    /** The bucket in that region where packages are put. */
    bucket: string;
    /** Ids of the projects that may use it; empty for all. */
    projects: string[];
    /** Names of the environments that may use it; empty for all. */
    environments: string[];
    /** Resource types beyond the usual ones. */
    resource_types: string[];
    /** Managed policies beyond the usual ones. */
    managed_policies: string[];
    /** Published layers beyond AWS's own. */
    layers: string[];
    created: number;
    created_by: string;
    updated: number;
  }[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** One page of a list. */
export type PageViewTokenView = {
  items: ({
    id: string;
    name: string;
    scopes: string[];
    /** The id of the one project that it is good for. */
    project?: string | null;
    created: number;
    expires: number;
    /** To the hour. */
    last_used?: number | null;
  })[];
  /** Pass as `cursor` for the next page; absent when this is the last. */
  next?: string | null;
};

/** A URL that carries its own permission. */
export type PresignedView = {
  method: string;
  url: string;
  /** Send these along, exactly. */
  headers: Record<string, string>;
  /** When the URL stops working. */
  expires: number;
};

/** The wire form of a [`Problem`]. */
export type Problem = {
  /** A URI that names the kind of problem. */
  type: string;
  title: string;
  status: number;
  /** The stable code: the last part of `type`. */
  code: string;
  detail: string;
  /** The member or parameter that is wrong. */
  field?: string | null;
  /** Quote it when you ask for help. */
  request_id?: string | null;
};

export type ProgressView = {
  phase: string;
  /** Steps done, of `total` when that is known. */
  done: number;
  total?: number | null;
  message: string;
};

export type ProjectView = {
  id: string;
  slug: string;
  name: string;
  description: string;
  default_branch: string;
  protected_branches: string[];
  protected_environments: string[];
  created: number;
  /** The id of the account that created it. */
  created_by: string;
  /** Clone from here, below the platform's address. */
  git_path: string;
  /** In lists: the caller's role. */
  role?: string | null;
};

/** What to publish: exactly one of the three. */
export type PublishRelease = {
  /** A branch, tag or commit. */
  ref?: string | null;
  /** The id of a build job that succeeded. */
  build?: string | null;
  /** The id of an earlier release. */
  release?: string | null;
};

export type RefreshSession = {
  refresh_token: string;
};

export type ReleaseView = {
  id: string;
  commit: string;
  /** The job that built it. */
  build: string;
  artifacts: ArtifactView[];
  parameters_version: number;
  created: number;
  created_by: string;
};

/** What one request of a function took. Times in milliseconds. */
export type RequestView = {
  request_id: string;
  duration_ms: number;
  billed_duration_ms: number;
  memory_mb: number;
  max_memory_used_mb: number;
  /** Only of a cold start. */
  init_duration_ms?: number | null;
  cold_start: boolean;
  /** `timeout`, `error`, … when it did not succeed and the log says so. */
  status?: string | null;
};

export type SessionView = {
  account: AccountView;
  /** For the header `Authorization: Bearer`. */
  access_token: string;
  token_type: string;
  /** Seconds that the access token is good for. */
  expires_in: number;
  /** Good for one refresh. */
  refresh_token: string;
};

export type SetMember = {
  /** `owner`, `maintainer`, `developer` or `viewer`. */
  role: string;
};

export type SignatureView = {
  name: string;
  email: string;
  at: number;
  /** Minutes east of UTC. */
  offset_minutes: number;
};

export type SocketTicketView = {
  /** Good for one connection: `{url}?ticket={ticket}`. */
  ticket: string;
  url: string;
  expires: number;
};

export type StarterView = {
  name: string;
  title: string;
};

export type StartersView = {
  items: StarterView[];
};

export type StoredFileView = {
  id: string;
  path: string;
  length: number;
  content_type: string;
  sha256: string;
  created: number;
  created_by: string;
};

export type TargetView = {
  name: string;
  /** The role that is assumed for a deploy. */
  role_arn: string;
  /** The trust policy of the role must ask for this (`sts:ExternalId`). */
  external_id: string;
  region: string;
  /** The managed policy that bounds every role of a deployed app. */
  permissions_boundary: string;
  /** The bucket in that region where packages are put. */
  bucket: string;
  /** Ids of the projects that may use it; empty for all. */
  projects: string[];
  /** Names of the environments that may use it; empty for all. */
  environments: string[];
  /** Resource types beyond the usual ones. */
  resource_types: string[];
  /** Managed policies beyond the usual ones. */
  managed_policies: string[];
  /** Published layers beyond AWS's own. */
  layers: string[];
  created: number;
  created_by: string;
  updated: number;
};

export type TokenView = {
  id: string;
  name: string;
  scopes: string[];
  /** The id of the one project that it is good for. */
  project?: string | null;
  created: number;
  expires: number;
  /** To the hour. */
  last_used?: number | null;
};

export type TreeView = PageViewEntryView & {
  /** The commit that was read. */
  commit: string;
};

/** A part of the template that is not honoured. */
export type UnsupportedView = {
  /** The logical id. */
  resource: string;
  /** The resource type. */
  type: string;
  /** The property; the whole resource when absent. */
  property?: string | null;
  reason: string;
};

export type UpdateAccount = {
  name?: string | null;
  admin?: boolean | null;
  /** A disabled account cannot do anything, from the next request on. */
  disabled?: boolean | null;
  /** A new password; ends every session of the account. */
  password?: string | null;
};

export type UpdateMe = {
  name?: string | null;
  /** A new password; needs `current_password`, and ends every session. */
  password?: string | null;
  current_password?: string | null;
};

export type UpdateProject = {
  name?: string | null;
  description?: string | null;
  /** Branches that only maintainers move. */
  protected_branches?: string[] | null;
  /** Environments that only maintainers deploy to. */
  protected_environments?: string[] | null;
};

/** What is absent stays as it is. */
export type UpdateTarget = {
  role_arn?: string | null;
  region?: string | null;
  permissions_boundary?: string | null;
  bucket?: string | null;
  projects?: string[] | null;
  environments?: string[] | null;
  resource_types?: string[] | null;
  managed_policies?: string[] | null;
  layers?: string[] | null;
};

export type UploadView = {
  id: string;
  path: string;
  /** When the upload is given up. */
  expires: number;
  /** Send the bytes here, then complete the upload. */
  put: PresignedView;
};

export interface Operations {
  /** Leads to the first page. */
  get_root: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    result: undefined;
  };
  /** Lists the accounts, oldest first. */
  list_accounts: {
    path: Record<never, never>;
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewAccountView;
  };
  /** Creates an account. */
  create_account: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateAccount;
    result: AccountView;
  };
  /** Shows an account. */
  get_account: {
    path: { account: string };
    query: Record<never, never>;
    body: undefined;
    result: AccountView;
  };
  /** Changes an account. Needs `If-Match`. */
  update_account: {
    path: { account: string };
    query: Record<never, never>;
    body: UpdateAccount;
    result: AccountView;
  };
  /** Says that the platform answers. */
  get_health: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    result: Health;
  };
  /** Shows the caller's account. */
  get_me: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    result: AccountView;
  };
  /** Changes the caller's name or password. `If-Match` is needed for the name. */
  update_me: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: UpdateMe;
    result: AccountView;
  };
  /** This document. */
  get_openapi: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    result: unknown;
  };
  /** Lists the projects that the caller is a member of. */
  list_projects: {
    path: Record<never, never>;
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewProjectView;
  };
  /** Creates a project. The caller becomes its owner. */
  create_project: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateProject;
    result: ProjectView;
  };
  /** Shows a project. */
  get_project: {
    path: { project: string };
    query: Record<never, never>;
    body: undefined;
    result: ProjectView;
  };
  /** Changes a project. Needs `If-Match`. */
  update_project: {
    path: { project: string };
    query: Record<never, never>;
    body: UpdateProject;
    result: ProjectView;
  };
  /** Deletes a project with everything it holds. Needs `If-Match`. It is gone at once; a job cleans up. */
  delete_project: {
    path: { project: string };
    query: Record<never, never>;
    body: undefined;
    result: JobView;
  };
  /** Gives a URL that downloads an artifact. */
  get_artifact: {
    path: { project: string; digest: string };
    query: Record<never, never>;
    body: undefined;
    result: PresignedView;
  };
  /** Lists the branches by name. */
  list_branches: {
    path: { project: string };
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewBranchView;
  };
  /** Makes a branch. */
  create_branch: {
    path: { project: string };
    query: Record<never, never>;
    body: CreateBranch;
    result: BranchView;
  };
  /** Removes a branch. */
  delete_branch: {
    path: { project: string; branch: string };
    query: { commit?: string };
    body: undefined;
    result: undefined;
  };
  /** Starts a build. */
  create_build: {
    path: { project: string };
    query: Record<never, never>;
    body: CreateBuild;
    result: JobView;
  };
  /** Lists commits, newest first. */
  list_commits: {
    path: { project: string };
    query: { ref?: string; path?: string; cursor?: string; limit?: number };
    body: undefined;
    result: PageViewCommitView;
  };
  /** Commits drafts and changes to a branch. */
  create_commit: {
    path: { project: string };
    query: Record<never, never>;
    body: CreateCommit;
    result: CommitView;
  };
  /** Shows a commit. */
  get_commit: {
    path: { project: string; commit: string };
    query: Record<never, never>;
    body: undefined;
    result: CommitView;
  };
  /** Compares two commits. */
  get_diff: {
    path: { project: string };
    query: { base?: string; head: string };
    body: undefined;
    result: DiffView;
  };
  /** Reads a draft. */
  get_draft: {
    path: { project: string };
    query: { branch: string; path: string };
    body: undefined;
    result: ArrayBuffer;
  };
  /** Saves a draft: a new one with `If-None-Match: *`, an existing one with `If-Match`. */
  save_draft: {
    path: { project: string };
    query: { branch: string; path: string; executable?: boolean };
    body: BodyInit;
    result: DraftView;
  };
  /** Throws a draft away. Needs `If-Match`. */
  delete_draft: {
    path: { project: string };
    query: { branch: string; path: string };
    body: undefined;
    result: undefined;
  };
  /** Lists the caller's drafts on a branch. */
  list_drafts: {
    path: { project: string };
    query: { branch: string; cursor?: string; limit?: number };
    body: undefined;
    result: PageViewDraftView;
  };
  /** Lists the environments. */
  list_environments: {
    path: { project: string };
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewEnvironmentView;
  };
  /** Shows an environment. */
  get_environment: {
    path: { project: string; environment: string };
    query: Record<never, never>;
    body: undefined;
    result: EnvironmentView;
  };
  /** Removes an environment with everything it holds. Needs `If-Match`. */
  delete_environment: {
    path: { project: string; environment: string };
    query: Record<never, never>;
    body: undefined;
    result: JobView;
  };
  /** Gives keys for the services of an environment, good for an hour. */
  create_credentials: {
    path: { project: string; environment: string };
    query: Record<never, never>;
    body: undefined;
    result: CredentialsView;
  };
  /** Lists the functions that run in an environment. */
  list_functions: {
    path: { project: string; environment: string };
    query: Record<never, never>;
    body: undefined;
    result: FunctionsView;
  };
  /** Calls a function and waits for its answer. */
  invoke_function: {
    path: { project: string; environment: string; function: string };
    query: Record<never, never>;
    body: InvokeFunction;
    result: InvocationView;
  };
  /** Reads a function's log over all its instances, with START, END and REPORT lines read into figures. */
  read_function_logs: {
    path: { project: string; environment: string; function: string };
    query: { cursor?: string; start?: number; limit?: number; wait?: number };
    body: undefined;
    result: LogView;
  };
  /** Publishes to an environment. The first publication creates it. */
  publish_release: {
    path: { project: string; environment: string };
    query: Record<never, never>;
    body: PublishRelease;
    result: JobView;
  };
  /** Says where an environment is deployed to. Needs `If-Match`, or `If-None-Match: *` for one that is not there yet. */
  bind_target: {
    path: { project: string; environment: string };
    query: Record<never, never>;
    body: BindTarget;
    result: EnvironmentView;
  };
  /** Lists events, oldest first. */
  list_events: {
    path: { project: string };
    query: { after?: number; limit?: number };
    body: undefined;
    result: EventsView;
  };
  /** Reads a file; of a symlink, its text. */
  get_file: {
    path: { project: string };
    query: { ref?: string; path: string };
    body: undefined;
    result: ArrayBuffer;
  };
  /** Lists the files, oldest first. */
  list_files: {
    path: { project: string };
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewStoredFileView;
  };
  /** Shows a file. */
  get_stored_file: {
    path: { project: string; file: string };
    query: Record<never, never>;
    body: undefined;
    result: StoredFileView;
  };
  /** Deletes a file. Needs `If-Match`. */
  delete_stored_file: {
    path: { project: string; file: string };
    query: Record<never, never>;
    body: undefined;
    result: undefined;
  };
  /** Gives a URL that downloads the file. */
  get_stored_file_content: {
    path: { project: string; file: string };
    query: Record<never, never>;
    body: undefined;
    result: PresignedView;
  };
  /** Lists the jobs, newest first. */
  list_jobs: {
    path: { project: string };
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewJobView;
  };
  /** Shows a job. */
  get_job: {
    path: { project: string; job: string };
    query: Record<never, never>;
    body: undefined;
    result: JobView;
  };
  /** Asks for the end of a job. One that has ended stays as it is. */
  cancel_job: {
    path: { project: string; job: string };
    query: Record<never, never>;
    body: undefined;
    result: JobView;
  };
  /** Reads a job's log. */
  get_job_log: {
    path: { project: string; job: string };
    query: { cursor?: string; start?: number; limit?: number; wait?: number };
    body: undefined;
    result: LogView;
  };
  /** Lists the members. */
  list_members: {
    path: { project: string };
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewMemberView;
  };
  /** Makes an account a member, or changes its role. `If-Match` is honoured when sent. */
  set_member: {
    path: { project: string; account: string };
    query: Record<never, never>;
    body: SetMember;
    result: MemberView;
  };
  /** Removes a member, at once. Anyone may remove themselves; the last owner stays. */
  delete_member: {
    path: { project: string; account: string };
    query: Record<never, never>;
    body: undefined;
    result: undefined;
  };
  /** Lists the releases, newest first. */
  list_releases: {
    path: { project: string };
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewReleaseView;
  };
  /** Lists a folder. */
  list_tree: {
    path: { project: string };
    query: { ref?: string; path?: string; cursor?: string; limit?: number };
    body: undefined;
    result: TreeView;
  };
  /** Starts an upload: gives a URL that takes exactly these bytes. */
  create_upload: {
    path: { project: string };
    query: Record<never, never>;
    body: CreateUpload;
    result: UploadView;
  };
  /** Makes a file of an upload whose bytes have arrived. A file that was at the path is replaced. */
  complete_upload: {
    path: { project: string; upload: string };
    query: Record<never, never>;
    body: undefined;
    result: StoredFileView;
  };
  /** Signs in with e-mail address and password. Browsers get a session cookie as well. */
  create_session: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateSession;
    result: SessionView;
  };
  /** Ends the caller's session: its tokens and cookie are refused from now on. */
  delete_session: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    result: undefined;
  };
  /** Gives new tokens for a refresh token. One that was used before ends its session. */
  refresh_session: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: RefreshSession;
    result: SessionView;
  };
  /** Gives a ticket for one WebSocket connection, good for a minute. */
  create_socket_ticket: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    result: SocketTicketView;
  };
  /** Lists the starters. */
  list_starters: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    result: StartersView;
  };
  /** Lists the targets by name. The platform's own account, `default`, is not among them. */
  list_targets: {
    path: Record<never, never>;
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewTargetView;
  };
  /** Defines a target. The answer has the external id that the role's trust policy must ask for. */
  create_target: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateTarget;
    result: TargetView;
  };
  /** Shows a target. */
  get_target: {
    path: { target: string };
    query: Record<never, never>;
    body: undefined;
    result: TargetView;
  };
  /** Changes a target. Needs `If-Match`. Account and region stay while an environment is bound to it. */
  update_target: {
    path: { target: string };
    query: Record<never, never>;
    body: UpdateTarget;
    result: TargetView;
  };
  /** Removes a target that no environment is bound to. Needs `If-Match`. */
  delete_target: {
    path: { target: string };
    query: Record<never, never>;
    body: undefined;
    result: undefined;
  };
  /** Lists the caller's tokens, oldest first. */
  list_tokens: {
    path: Record<never, never>;
    query: { cursor?: string; limit?: number };
    body: undefined;
    result: PageViewTokenView;
  };
  /** Makes a token for the caller. Only a signed-in person makes tokens. */
  create_token: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateToken;
    result: NewTokenView;
  };
  /** Takes one of the caller's tokens back. */
  delete_token: {
    path: { token: string };
    query: Record<never, never>;
    body: undefined;
    result: undefined;
  };
}

export const routes: { readonly [Name in keyof Operations]: readonly [method: string, path: string] } = {
  get_root: ['GET', '/'],
  list_accounts: ['GET', '/accounts'],
  create_account: ['POST', '/accounts'],
  get_account: ['GET', '/accounts/{account}'],
  update_account: ['PATCH', '/accounts/{account}'],
  get_health: ['GET', '/health'],
  get_me: ['GET', '/me'],
  update_me: ['PATCH', '/me'],
  get_openapi: ['GET', '/openapi.json'],
  list_projects: ['GET', '/projects'],
  create_project: ['POST', '/projects'],
  get_project: ['GET', '/projects/{project}'],
  update_project: ['PATCH', '/projects/{project}'],
  delete_project: ['DELETE', '/projects/{project}'],
  get_artifact: ['GET', '/projects/{project}/artifacts/{digest}'],
  list_branches: ['GET', '/projects/{project}/branches'],
  create_branch: ['POST', '/projects/{project}/branches'],
  delete_branch: ['DELETE', '/projects/{project}/branches/{branch}'],
  create_build: ['POST', '/projects/{project}/builds'],
  list_commits: ['GET', '/projects/{project}/commits'],
  create_commit: ['POST', '/projects/{project}/commits'],
  get_commit: ['GET', '/projects/{project}/commits/{commit}'],
  get_diff: ['GET', '/projects/{project}/diff'],
  get_draft: ['GET', '/projects/{project}/draft'],
  save_draft: ['PUT', '/projects/{project}/draft'],
  delete_draft: ['DELETE', '/projects/{project}/draft'],
  list_drafts: ['GET', '/projects/{project}/drafts'],
  list_environments: ['GET', '/projects/{project}/environments'],
  get_environment: ['GET', '/projects/{project}/environments/{environment}'],
  delete_environment: ['DELETE', '/projects/{project}/environments/{environment}'],
  create_credentials: ['POST', '/projects/{project}/environments/{environment}/credentials'],
  list_functions: ['GET', '/projects/{project}/environments/{environment}/functions'],
  invoke_function: ['POST', '/projects/{project}/environments/{environment}/functions/{function}/invocations'],
  read_function_logs: ['GET', '/projects/{project}/environments/{environment}/functions/{function}/logs'],
  publish_release: ['PUT', '/projects/{project}/environments/{environment}/release'],
  bind_target: ['PUT', '/projects/{project}/environments/{environment}/target'],
  list_events: ['GET', '/projects/{project}/events'],
  get_file: ['GET', '/projects/{project}/file'],
  list_files: ['GET', '/projects/{project}/files'],
  get_stored_file: ['GET', '/projects/{project}/files/{file}'],
  delete_stored_file: ['DELETE', '/projects/{project}/files/{file}'],
  get_stored_file_content: ['GET', '/projects/{project}/files/{file}/content'],
  list_jobs: ['GET', '/projects/{project}/jobs'],
  get_job: ['GET', '/projects/{project}/jobs/{job}'],
  cancel_job: ['POST', '/projects/{project}/jobs/{job}/cancellation'],
  get_job_log: ['GET', '/projects/{project}/jobs/{job}/log'],
  list_members: ['GET', '/projects/{project}/members'],
  set_member: ['PUT', '/projects/{project}/members/{account}'],
  delete_member: ['DELETE', '/projects/{project}/members/{account}'],
  list_releases: ['GET', '/projects/{project}/releases'],
  list_tree: ['GET', '/projects/{project}/tree'],
  create_upload: ['POST', '/projects/{project}/uploads'],
  complete_upload: ['POST', '/projects/{project}/uploads/{upload}/completion'],
  create_session: ['POST', '/sessions'],
  delete_session: ['DELETE', '/sessions/current'],
  refresh_session: ['POST', '/sessions/refresh'],
  create_socket_ticket: ['POST', '/socket-tickets'],
  list_starters: ['GET', '/starters'],
  list_targets: ['GET', '/targets'],
  create_target: ['POST', '/targets'],
  get_target: ['GET', '/targets/{target}'],
  update_target: ['PATCH', '/targets/{target}'],
  delete_target: ['DELETE', '/targets/{target}'],
  list_tokens: ['GET', '/tokens'],
  create_token: ['POST', '/tokens'],
  delete_token: ['DELETE', '/tokens/{token}'],
};

